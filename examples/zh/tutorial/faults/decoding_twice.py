"""外面是字节，里面是文字：进门时解码一次，出门时编码一次。"""


def read(data):
    return data.decode()  # 从这里起是文字


def wrong():
    message = read(b"hello")
    try:
        return message.decode().upper()  # “为了保险起见”
    except AttributeError as error:
        return f"AttributeError: {error}"


def wrong_too():
    # 同样的想法，换一个方向。它从不抛异常，而且把 b'' 这几个字符也发了出去。
    return str(b"hello").upper()


def right():
    return read(b"hello").upper()


if __name__ == "__main__":
    print("wrong:", wrong())
    print("wrong, too:", wrong_too())
    print("right:", right())
