"""数据包可能正好断在一个字的中间。"""

import codecs

PACKETS = [b"gr\xc3", b"\xbc\xc3\x9f dich"]  # "grüß dich"，在 ü 的第一个字节之后切开


def wrong():
    try:
        return "".join(packet.decode() for packet in PACKETS)
    except UnicodeDecodeError as error:
        return f"UnicodeDecodeError: {error.reason}"


def wrong_too():
    # 它不再抛异常，却把文字毁了。
    return "".join(packet.decode(errors="replace") for packet in PACKETS)


def right():
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return "".join(decoder.decode(packet) for packet in PACKETS)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("wrong, too:", wrong_too())
    print("right:", right())
