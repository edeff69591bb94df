"""A packet may end in the middle of a character."""

import codecs

PACKETS = [b"gr\xc3", b"\xbc\xc3\x9f dich"]  # "grüß dich", cut after the first byte of ü


def wrong():
    try:
        return "".join(packet.decode() for packet in PACKETS)
    except UnicodeDecodeError as error:
        return f"UnicodeDecodeError: {error.reason}"


def wrong_too():
    # It no longer raises. It destroys the text instead.
    return "".join(packet.decode(errors="replace") for packet in PACKETS)


def right():
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return "".join(decoder.decode(packet) for packet in PACKETS)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("wrong, too:", wrong_too())
    print("right:", right())
