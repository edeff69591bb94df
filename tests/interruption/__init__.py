"""KeyboardInterrupt and SystemExit at every line of the loop's own files: what is lost?"""
