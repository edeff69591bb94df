"""What is checked of a client, and how it failed."""

# ruff: noqa: RUF001 - these are the punctuation marks of Chinese, not look-alikes of ours

TEXTS: dict[str, tuple[str, str]] = {
    "connects.title": ("connects to the server", "能连上服务器"),
    "connects.fault": ("it does not come to the server", "没有连上服务器"),
    "connects.hint": (
        "It is started with `client HOST PORT`, `HOST PORT`, `PORT`, `--port PORT` or nothing, whatever it "
        "takes. If it wants them elsewhere, write {{host}} and {{port}} where they belong.",
        "检查程序依次用 client 主机 端口、主机 端口、端口、--port 端口、不带参数来启动它。"
        "如果写法不同，请在参数里用 {{host}} 和 {{port}} 标出位置。",
    ),
    "sends.title": ("sends what is typed", "把输入的内容发出去"),
    "sends.fault": ("what is typed does not come to the server", "输入的内容没有发到服务器"),
    "sends.hint": (
        "Read standard input line by line, and sendall() each line, encoded, as soon as it is there.",
        "逐行读标准输入，每读到一行就编码并 sendall() 出去。",
    ),
    "shows.title": ("shows what comes", "显示收到的内容"),
    "shows.fault": ("what the server answers is not shown", "服务器的响应没有显示出来"),
    "shows.hint": (
        "recv() gives bytes: decode and print them, and flush what you print.",
        "recv() 得到的是字节：解码之后打印，并且 flush。",
    ),
    "pieces.title": ("shows all of an answer that comes in pieces", "响应分几段到达，也全部显示"),
    "pieces.fault": ("an answer in pieces is not shown whole", "响应分几段到达时没有显示完整"),
    "pieces.hint": (
        "One recv() is not one answer. Receive whenever something has come, not once for each line typed.",
        "一次 recv() 收到的不等于一个响应。有数据到就收，而不是每输入一行才收一次。",
    ),
    "cut.title": ("shows characters cut in two by packets", "汉字被数据包切成两半，也能正确显示"),
    "cut.fault": (
        "a character whose bytes come in two packets is not shown right",
        "一个字的字节分两个包到达时显示出错",
    ),
    "cut.hint": (
        "Decode with codecs.getincrementaldecoder('utf-8')(), which keeps half a character until the rest "
        "comes; or write the bytes to sys.stdout.buffer as they are.",
        "用 codecs.getincrementaldecoder('utf-8')() 解码，它会把半个字留到下次；"
        "或者不解码，直接写到 sys.stdout.buffer。",
    ),
    "listens.title": (
        "hears the server while it waits for the keyboard",
        "等键盘输入时，也能收到服务器的消息",
    ),
    "listens.fault": (
        "what comes while nobody types is not shown",
        "没有人输入的时候，服务器的消息显示不出来",
    ),
    "listens.hint": (
        "There are two things to wait for, the keyboard and the server: two coroutines, or both of them in "
        "one select(). input() waits for one only.",
        "要等的有两样：键盘和服务器。写成两个协程，或者放进同一个 select()。input() 只等一样。",
    ),
    "server-gone.title": ("ends when the server does", "服务器关闭后，客户端也结束"),
    "server-gone.fault": ("it does not end when the server does", "服务器关闭了，客户端却没有结束"),
    "server-gone.hint": (
        "recv() that returns b'' says that the server has gone: end the part that waits for the keyboard, "
        "too. A thread in input() cannot be ended; a reader on sys.stdin can.",
        "recv() 返回 b''，说明服务器已经关闭：等键盘的那一半也要结束。"
        "停在 input() 里的线程结束不了；监听 sys.stdin 的 reader 可以。",
    ),
    "server-lost.title": ("ends when the connection breaks off", "连接突然中断时，客户端也结束"),
    "server-lost.fault": ("it does not end when the connection breaks off", "连接突然中断，客户端却没有结束"),
    "server-lost.hint": (
        "recv() and send() may raise ConnectionResetError: say so, and end.",
        "recv() 和 send() 可能抛出 ConnectionResetError：说明一句，然后结束。",
    ),
    "end-of-input.title": (
        "ends at the end of its input, with the last answer",
        "输入结束时收完最后的响应再结束",
    ),
    "end-of-input.fault": (
        "the end of what is typed (Ctrl-D) is not taken as it should be",
        "输入结束（Ctrl-D）时处理得不对",
    ),
    "end-of-input.hint": (
        "At the end of input say sock.shutdown(socket.SHUT_WR), receive until b'', and end. input() raises "
        "EOFError there.",
        "输入结束时调用 sock.shutdown(socket.SHUT_WR)，一直收到 b'' 为止，然后结束。"
        "这时 input() 会抛出 EOFError。",
    ),
    "rests.title": ("sleeps while nothing happens", "没有事情时不耗 CPU"),
    "rests.fault": ("it burns processor time while nothing happens", "没有事情，它也在耗 CPU"),
    "rests.hint": (
        "Do not ask keyboard and server in turn without a pause: wait for both of them in select(), or in an "
        "event loop.",
        "不要不停地轮流询问键盘和服务器：用 select() 或者事件循环同时等两样。",
    ),
    "nobody-there.title": ("survives a server that is not there", "服务器不在，也不会崩溃"),
    "nobody-there.fault": (
        "a server that is not there is not told in plain words",
        "服务器不在时，没有用一句话说清楚",
    ),
    "nobody-there.hint": (
        "connect() raises ConnectionRefusedError: catch OSError, print one line, and end with an exit code "
        "that is not 0.",
        "connect() 会抛出 ConnectionRefusedError：捕获 OSError，打印一行说明，以非 0 的退出码结束。",
    ),
    "stops.title": ("stops on Ctrl-C", "按 Ctrl-C 能停下来"),
    "stops.fault": ("Ctrl-C does not stop it", "按 Ctrl-C 停不下来"),
    "stops.hint": (
        "Ctrl-C is KeyboardInterrupt: a bare `except:` swallows it. Catch OSError where you expect OSError.",
        "Ctrl-C 就是 KeyboardInterrupt，裸 except 会把它吞掉。该捕获 OSError 的地方就写 OSError。",
    ),
    # -- How.
    "client": ("client: {program}", "客户端：{program}"),
    "never-connects": (
        "the program runs but connects to nobody within {seconds:g} s",
        "程序在运行，但过了 {seconds:g} 秒还没有发起连接",
    ),
    "not-read": (
        "it does not read what is typed (waited {seconds:g} s)",
        "输入的内容它没有读（等了 {seconds:g} 秒）",
    ),
    "not-sent": ("{wanted} was typed and {got} came", "输入的是 {wanted}，来的是 {got}"),
    "not-shown": ("{wanted!r} was sent, and it showed {got!r}", "发给它的是 {wanted!r}，它显示的是 {got!r}"),
    "stays": ("it goes on running for {seconds:g} s", "过了 {seconds:g} 秒还在运行"),
    "answer-lost": (
        "it ended before the answer to the last line was shown",
        "最后一行的响应还没显示，它就结束了",
    ),
    "ends-by-traceback": (
        "it ends, with a traceback: catch the exception and say it in a line",
        "能结束，但打印出一串报错：捕获异常，用一行话说明",
    ),
    "absence-traceback": ("it prints a traceback ({words})", "它打印出一串报错（{words}）"),
    "absence-unsaid": ("it ends without a word", "它一声不吭就结束了"),
    "in-keyboard": (
        "A thread of it still waits for the keyboard, in a call that blocks.",
        "它还有一个线程停在读键盘的阻塞调用里。",
    ),
}
