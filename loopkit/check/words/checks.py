"""What is checked of a server: titles, faults, advice."""

# ruff: noqa: RUF001 - these are the punctuation marks of Chinese, not look-alikes of ours

TEXTS: dict[str, tuple[str, str]] = {
    "runs.title": ("goes on running while clients come and go", "客户端来来去去，程序一直在运行"),
    "runs.fault": ("it does not go on running", "程序没能一直运行下去"),
    "runs.hint": (
        "Read the last line of its error first. A client may leave at any moment: whatever is still kept for "
        "it (a queue, a place in a list, a poller's report of this very turn) must be given up with it, and "
        "asked for with care.",
        "先看报错的最后一行。客户端随时可能离开：为它保留的一切（队列、列表里的位置、"
        "本轮已经报告的事件）都要一起清理，取用之前先确认还在不在。",
    ),
    "answers.title": ("answers a client", "能响应客户端"),
    "answers.fault": ("the first client gets no proper answer", "第一个客户端就得不到正确的响应"),
    "answers.hint": (
        "It must listen on the port it is given, and send back what it gets, as it is or in upper case. If "
        "any answer will do: --expect any.",
        "服务器要在给定的端口上监听，把收到的内容原样送回，或者变成大写送回。"
        "如果响应什么都行，请加 --expect any。",
    ),
    "together.title": ("serves many clients at once", "同时服务许多客户端"),
    "together.fault": (
        "clients who are there at the same time disturb each other",
        "多个客户端同时在线时互相干扰",
    ),
    "together.hint": (
        "While one client says nothing the others must be served: never wait in recv() for one of them. "
        "Keep what you owe a client with that client.",
        "一个客户端不说话，其他客户端也要照常服务：不能停在某一个的 recv() 上等待。"
        "该给谁的响应，就记在谁名下。",
    ),
    "blocking-call.title": ("makes no call that blocks while it answers", "响应时不做阻塞调用"),
    "blocking-call.fault": (
        "it sleeps for one client while others wait",
        "为一个客户端休眠时，其他客户端都在等",
    ),
    "blocking-call.hint": (
        "In one thread a call that waits makes everybody wait: await asyncio.sleep() instead of "
        "time.sleep(), a library for asyncio instead of a blocking one, or asyncio.to_thread().",
        "只有一个线程，一个调用在等，所有人都得等：把 time.sleep() 换成 await asyncio.sleep()，"
        "阻塞的库换成 asyncio 的库，或者用 asyncio.to_thread()。",
    ),
    "single-thread.title": ("does so in a single thread", "只用一个线程"),
    "single-thread.fault": ("it is not a single thread", "用了不止一个线程"),
    "single-thread.hint": (
        "The task is one thread and one process: coroutines or callbacks instead of threading and fork.",
        "题目要求单线程、单进程：不用 threading，也不用 fork，用协程或者回调。",
    ),
    "order.title": ("sends a long text back intact and in order", "长文本一个字节不差、按顺序送回"),
    "order.fault": ("a long text does not come back as it was sent", "一段长文本送回来就变了样"),
    "order.hint": (
        "One recv() is not one message. Keep the pieces of each client in the order in which they came.",
        "一次 recv() 收到的不等于一条消息。每个客户端的数据，先来的先送回。",
    ),
    "split-characters.title": ("survives characters cut in two by packets", "汉字被数据包切成两半也不出错"),
    "split-characters.fault": (
        "a UTF-8 character whose bytes come in two packets does not survive",
        "一个字的字节分两个包到达时出错",
    ),
    "split-characters.hint": (
        "Give each client a decoder that keeps half a character until the rest comes: "
        "codecs.getincrementaldecoder('utf-8')(), or do not decode at all.",
        "给每个客户端一个自己的解码器 codecs.getincrementaldecoder('utf-8')()，"
        "它会把半个字留到下次；或者干脆不解码。",
    ),
    "silent-client.title": (
        "is not stopped by a client that says nothing",
        "有客户端连上不说话（空闲连接），也不受影响",
    ),
    "silent-client.fault": (
        "while one client says nothing, others are not served",
        "一个客户端不说话，其他客户端得不到服务",
    ),
    "silent-client.hint": (
        "After accept() do not wait for the first words: take what comes when the poller reports it.",
        "accept() 之后不要等它开口：等 select/poll/epoll 报告可读了再去收。",
    ),
    "slow-reader.title": ("is not stopped by a client that does not read", "有客户端只发不收，也不受影响"),
    "slow-reader.fault": (
        "while one client does not read its answers, others are not served",
        "一个客户端不收响应，其他客户端得不到服务",
    ),
    "slow-reader.hint": (
        "Clients' sockets must not block: setblocking(False). Keep what send() does not take, wait for "
        "writability, and read no more from this client until then.",
        "客户端的套接字也要 setblocking(False)。send() 没收下的先留着，"
        "等可写了再发；在那之前不再收它的数据。",
    ),
    "partial-send.title": ("loses nothing when a send is partial", "一次发不完也不丢字节"),
    "partial-send.fault": (
        "bytes are lost when the system does not take all of them at once",
        "系统一次收不下全部数据时，就丢了字节",
    ),
    "partial-send.hint": (
        "send() returns how many bytes it took; the rest is still yours to send.",
        "send() 返回的是这次收下了多少字节，剩下的还得你来发。",
    ),
    "back-pressure.title": (
        "does not hoard what a client does not take",
        "客户端不收，服务器也不会越积越多（背压）",
    ),
    "back-pressure.fault": (
        "what a client does not take piles up in the server's memory",
        "客户端不收的数据，都积压在服务器的内存里",
    ),
    "back-pressure.hint": (
        "While a client is owed much, read no more from it: take it out of what you watch for reading, call "
        "transport.pause_reading(), or await writer.drain(). Then TCP stops the client, not your memory.",
        "欠一个客户端很多数据时，就不要再收它的：不再关注它的可读事件，或者用 "
        "transport.pause_reading()、await writer.drain()。这样停下来的是客户端，而不是耗尽你的内存。",
    ),
    "half-close.title": (
        "answers who has said everything and still listens",
        "对方半关闭（shutdown）后，仍能收到剩下的响应",
    ),
    "half-close.fault": (
        "who ends its side of the connection does not get the rest of its answers",
        "客户端先关闭自己发送的那一边，剩下的响应就收不到了",
    ),
    "half-close.hint": (
        "The end of the stream (recv() returns b'', EPOLLRDHUP) says that no more will come, not that nobody "
        "listens: send what you owe, then close.",
        "流结束（recv() 返回 b''，或者 EPOLLRDHUP）只说明对方不再发，不说明对方不再听："
        "先把欠的发完，再关闭。",
    ),
    "reset.title": ("survives clients whose connection breaks off", "连接突然中断，也能继续服务"),
    "reset.fault": (
        "a client whose connection breaks off takes the server with it",
        "一个客户端的连接突然中断，服务器就跟着出错",
    ),
    "reset.hint": (
        "recv() and send() may raise ConnectionResetError or BrokenPipeError: catch OSError for that one "
        "client, close it, and go on.",
        "recv() 和 send() 可能抛出 ConnectionResetError、BrokenPipeError："
        "只为这一个客户端捕获 OSError，关闭它，继续服务。",
    ),
    "crowd.title": ("serves {connections} connections", "{connections} 个连接同时在线"),
    "crowd.fault": ("it does not serve so many clients", "服务不了这么多客户端"),
    "crowd.hint": (
        "Look at listen()'s backlog, at work that grows with each client, and at what happens when accept() "
        "fails or select() refuses a descriptor.",
        "检查 listen() 的队列长度，检查哪些工作随客户端增多而变慢，"
        "再看 accept() 失败、select() 拒绝描述符时会怎样。",
    ),
    "descriptors.title": ("gives every descriptor back", "描述符全部归还"),
    "descriptors.fault": ("connections stay open after their clients have left", "客户端走了，连接还开着"),
    "descriptors.hint": (
        "Call close() on every way out: after b'', after an error. Taking a socket off a list "
        "does not close it. An event word is a set of bits: `event & EPOLLIN`, never `event == EPOLLIN`.",
        "每条退出的路上都要 close()：收到 b'' 之后，出错之后。把套接字从列表里去掉并不会关闭它。"
        "事件是一组位：写 event & EPOLLIN，不要写 event == EPOLLIN。",
    ),
    "idle.title": ("sleeps while nobody says anything", "没人说话时不耗 CPU"),
    "idle.fault": ("it burns processor time while nobody says anything", "没人说话，它也在耗 CPU"),
    "idle.hint": (
        "Polling in a circle never sleeps: ask select, poll or epoll without a timeout. If you do, somebody "
        "is reported ready again and again: a client that has gone, or one watched for writing with nothing "
        "to write.",
        "轮流询问每个套接字，就永远不休眠：改用不带超时的 select、poll 或 epoll。如果已经用了，"
        "那就是有客户端一直被报告就绪：已经离开的，或者没有东西可写却在等可写的。",
    ),
    "ctrl-c.title": ("stops on Ctrl-C", "按 Ctrl-C 能停下来"),
    "ctrl-c.fault": ("Ctrl-C does not stop it", "按 Ctrl-C 停不下来"),
    "ctrl-c.hint": (
        "Ctrl-C is KeyboardInterrupt: a bare `except:` swallows it. Catch OSError where you expect OSError.",
        "Ctrl-C 就是 KeyboardInterrupt，裸 except 会把它吞掉。该捕获 OSError 的地方就写 OSError。",
    ),
    "restart.title": ("can be started again at once", "停止后马上能再启动"),
    "restart.fault": ("it cannot be started again at once", "停止后不能马上再启动"),
    "restart.hint": (
        "Before bind(): sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1). Without it the kernel "
        "keeps the port for a minute, for the sake of connections that are over.",
        "在 bind() 之前写：sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)。"
        "不写的话，内核会为已经结束的连接把端口再占一分钟。",
    ),
}
