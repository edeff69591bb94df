"""How a check of a server failed, why, or what else is to be said of it."""

# ruff: noqa: RUF001 - these are the punctuation marks of Chinese, not look-alikes of ours

TEXTS: dict[str, tuple[str, str]] = {
    "silent": (
        "after {seconds:g} s of waiting, {got} of the answer's {wanted} bytes had come",
        "等了 {seconds:g} 秒，{wanted} 个字节只来了 {got} 个",
    ),
    "mute": ("nothing came within {seconds:g} s", "等了 {seconds:g} 秒，什么也没来"),
    "closed": (
        "it closed the connection after {got} of {wanted} bytes",
        "应有 {wanted} 个字节，发了 {got} 个就关闭了连接",
    ),
    "broken": ("it broke the connection off ({error})", "它中断了连接（{error}）"),
    "refused": ("it does not take the connection ({error})", "它不接受连接（{error}）"),
    "unaccepted": (
        "it has not taken the connection after {seconds:g} s",
        "过了 {seconds:g} 秒还没有接受连接",
    ),
    "wrong": (
        "at byte {at} {wanted} was expected and {got} came",
        "从位置 {at} 起，应是 {wanted}，来的是 {got}",
    ),
    "other": ("{wanted} was expected and {got} came", "应是 {wanted}，来的是 {got}"),
    "late": ("not finished after {seconds:g} s", "过了 {seconds:g} 秒还没有完"),
    "ended": ("the program has ended: {words}", "程序结束了：{words}"),
    "unstarted": ("the program has ended: {words}", "程序结束了：{words}"),
    "unstarted.hint": (
        "It must listen, and go on running. Start it yourself in the same way, and read the last line of "
        "what it says.",
        "程序要监听端口，并且一直运行。自己用同样的方法启动一次，看报错的最后一行。",
    ),
    "deaf.hint": (
        "Does it call bind() and listen(), before anything that waits?",
        "有没有调用 bind() 和 listen()？是不是在那之前就停下来等别的了？",
    ),
    "shadow.hint": (
        "import looks into the program's own folder first.",
        "import 最先找的是程序自己所在的文件夹。",
    ),
    "port-owned.hint": (
        "Is the server still running in another window? Or take the port from sys.argv.",
        "是不是在另一个窗口里还开着这个服务器？也可以从 sys.argv 里取端口。",
    ),
    "port-lingers.hint": (
        "sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), before bind().",
        "在 bind() 之前写：sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)。",
    ),
    "in-answer-to": ("`{command}`: {words}", "`{command}`：{words}"),
    "exit-code": ("exit code {code}", "退出码 {code}"),
    "deaf": (
        "the program runs but listens nowhere after {seconds:g} s",
        "程序在运行，但过了 {seconds:g} 秒还没有在任何端口上监听",
    ),
    "shadow": (
        "{file} beside the program hides Python's own module of that name; give it another name ({words})",
        "程序旁边的 {file} 遮住了 Python 自带的同名模块，请给它换个名字（{words}）",
    ),
    "port-owned": (
        "its port {port} is taken: process {pid} listens there; end that first ({words})",
        "它的端口 {port} 已被占用：进程 {pid} 正在监听，请先结束它（{words}）",
    ),
    "port-lingers": (
        "its port is still taken, by another program or by connections that ended within the last minute: "
        "add SO_REUSEADDR before bind(), or wait a minute ({words})",
        "它的端口还被占用着，占用者是别的程序，或者一分钟之内刚结束的连接："
        "在 bind() 之前加上 SO_REUSEADDR，或者等一分钟（{words}）",
    ),
    "one-by-one": (
        "one client waits {one} ms, and {clients} who ask at once wait {many} ms, most of which the server "
        "sleeps",
        "一个客户端要等 {one} 毫秒，{clients} 个同时提问就要等 {many} 毫秒，大部分时间服务器在休眠",
    ),
    "threads": (
        "{count} threads in {processes} process(es) with {clients} clients",
        "{clients} 个客户端，用了 {processes} 个进程、{count} 个线程",
    ),
    "hoards": (
        "one client has not read anything, and the server keeps {megabytes:.1f} MB for it, besides what the "
        "kernel's buffers hold",
        "有个客户端什么都不收，除了内核缓冲区里的，服务器自己还为它存着 {megabytes:.1f} MB",
    ),
    "crowd-ended": (
        "with {served} clients the program has ended: {words}",
        "到第 {served} 个客户端，程序结束了：{words}",
    ),
    "crowd-late": (
        "only {served} clients were served within {seconds:.0f} s",
        "{seconds:.0f} 秒内只服务了 {served} 个客户端",
    ),
    "crowd-unserved": (
        "the first {served} were served, then: {cause}",
        "服务了前 {served} 个，接着：{cause}",
    ),
    "crowd-full": (
        "{served} were served; when {left} of them had left, nobody new was let in",
        "服务了 {served} 个；走了 {left} 个之后，还是不让新的进来",
    ),
    "leak": (
        "{before} descriptors before {clients} clients came and went, {after} afterwards",
        "{clients} 个客户端来去之前有 {before} 个描述符，之后有 {after} 个",
    ),
    "leak-reset": (
        "{before} descriptors before the connections of {clients} clients broke off, {after} afterwards",
        "{clients} 个客户端的连接中断之前有 {before} 个描述符，之后有 {after} 个",
    ),
    "busy": (
        "{percent}% of the time in which it could run, it does",
        "能用 CPU 的时间里，{percent}% 都在用",
    ),
    "unstoppable": ("it goes on running for {seconds:g} s", "过了 {seconds:g} 秒还在运行"),
    "traceback": (
        "it stops, with a traceback: catch KeyboardInterrupt around the outermost call",
        "能停下来，但打印出一串报错：在最外层捕获 KeyboardInterrupt",
    ),
    "restart-in-use": (
        "while connections of its last run are not a minute old, bind() says that port {port} is in use",
        "上次运行的连接结束不到一分钟，bind() 就报告端口 {port} 已被占用",
    ),
    "restart-fails": ("the second time, {why}", "第二次启动时，{why}"),
    "limit-select": (
        "{served} clients, then select() is at its end: it cannot watch a descriptor above {limit}. "
        "That is the model's limit, not yours; poll and epoll have none",
        "服务了 {served} 个，select() 已到上限：它管不了大于 {limit} 的描述符。"
        "这是模型的限制，不是你的错；poll 和 epoll 没有这个限制",
    ),
    "limit-descriptors": (
        "{served} clients, then there was no descriptor left: a process here may open {limit} (ulimit -n)",
        "服务了 {served} 个，描述符用完了：这里一个进程最多打开 {limit} 个（ulimit -n）",
    ),
    "limit-ours": (
        "{served} clients; no more could be tried: the checker itself may open {limit} descriptors "
        "(ulimit -n)",
        "服务了 {served} 个；再多试不了，检查程序自己最多打开 {limit} 个描述符（ulimit -n）",
    ),
    # -- Why, where that could be seen.
    "because-of": ("{text} {cause}", "{text}{cause}"),
    "at-line": ("({where})", "（{where}）"),
    "in-recv": (
        "It waits in recv() for one client: that socket blocks.",
        "它停在 recv() 里等一个客户端：这个套接字是阻塞的。",
    ),
    "in-send": (
        "It waits in send() for one client: that socket blocks.",
        "它停在 send() 里等一个客户端：这个套接字是阻塞的。",
    ),
    "in-recv-accepted": (
        "It waits in recv() for one client: the socket that accept() gave it blocks, although the listening "
        "one does not. Say setblocking(False) to each of them.",
        "它停在 recv() 里等一个客户端：监听套接字是非阻塞的，accept() 返回的套接字却是阻塞的。"
        "每一个都要 setblocking(False)。",
    ),
    "in-send-accepted": (
        "It waits in send() for one client: the socket that accept() gave it blocks, although the listening "
        "one does not. Say setblocking(False) to each of them.",
        "它停在 send() 里等一个客户端：监听套接字是非阻塞的，accept() 返回的套接字却是阻塞的。"
        "每一个都要 setblocking(False)。",
    ),
    "in-accept": (
        "It waits in accept() for another client to come: the listening socket blocks.",
        "它停在 accept() 里等下一个客户端：监听套接字是阻塞的。",
    ),
    "in-connect": (
        "It waits for a connection of its own, in connect().",
        "它停在 connect() 里，等自己发起的连接。",
    ),
    "in-sleep": (
        "It is in a call that sleeps, as time.sleep() does.",
        "它正停在休眠的调用里，比如 time.sleep()。",
    ),
    "mixed-up": (
        "That is what another client is owed.",
        "来的是该给另一个客户端的。",
    ),
    "mixed-up.hint": (
        "Keep what you owe a client with that client, not in one queue for all: one of them may be unable to "
        "take it when it is its turn.",
        "该给谁的响应就记在谁名下，不要所有客户端共用一个队列：轮到它时，它可能还收不下。",
    ),
    "in-wait": ("It waits for a child process to end.", "它在等子进程结束。"),
    "in-file": (
        "It waits for a file or a pipe, in a call that blocks.",
        "它停在读写文件或管道的阻塞调用里。",
    ),
    # -- What was not decided.
    "needs": ("needs: {check}", "要先通过：{check}"),
    "it-ended": ("not decided: the program ended", "无法判断：程序结束了"),
    "crowded": (
        "not decided: this machine has no time for the server; try again with less going on",
        "无法判断：机器太忙，服务器得不到 CPU；空闲一些再试",
    ),
    "unseen": (
        "not visible from here: the server belongs to another machine or user",
        "这里看不到：服务器属于别的机器或别的用户",
    ),
    "any-answer": ("not asked: any answer will do", "不检查：响应什么都行"),
    "not-ours": ("not tried: somebody else has started this server", "没有做：这个服务器不是检查程序启动的"),
}
