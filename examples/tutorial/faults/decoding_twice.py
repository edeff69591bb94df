"""Bytes outside, text inside: decode once where they come in, encode once where they go out."""


def read(data):
    return data.decode()  # from here on it is text


def wrong():
    message = read(b"hello")
    try:
        return message.decode().upper()  # "to be on the safe side"
    except AttributeError as error:
        return f"AttributeError: {error}"


def wrong_too():
    # The same thought, in the other direction. It never raises, and the letters b'' are sent along.
    return str(b"hello").upper()


def right():
    return read(b"hello").upper()


if __name__ == "__main__":
    print("wrong:", wrong())
    print("wrong, too:", wrong_too())
    print("right:", right())
