"""Everything the checker says, in both languages: name -> (English, Chinese).

A check NAME has a title ``NAME.title``, what its failure means ``NAME.fault``, and advice ``NAME.hint``. How
it failed is a text of its own, put after the fault. Both languages have the same ``{places}`` to fill; the
test of this table holds that.
"""

# ruff: noqa: RUF001 - these are the punctuation marks of Chinese, not look-alikes of ours

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .talk import Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LANGUAGES", "TEXTS", "language", "say"]

LANGUAGES = ("en", "zh")

TEXTS: dict[str, tuple[str, str]] = {
    # -- The frame.
    "server": ("server: {where}, {what}", "服务器：{where}，{what}"),
    "answers.upper": ("answers in upper case", "回答变成大写"),
    "answers.upper-ascii": ("answers with a-z in upper case", "回答里 a-z 变成大写"),
    "answers.echo": ("echoes what it gets", "收到什么回什么"),
    "answers.": ("gives no usable answer", "没有可用的回答"),
    "status.passed": ("ok   ", "通过"),
    "status.limited": ("limit", "受限"),
    "status.fault": ("FAULT", "错误"),
    "status.skipped": ("skip ", "跳过"),
    "status.unavailable": ("n/a  ", "不测"),
    "because": ("{fault}: {how}", "{fault}：{how}"),
    "briefly": ("{title} ({how})", "{title}（{how}）"),
    "and": ("; ", "；"),
    "score": ("{points} of {possible} checks passed.", "{possible} 项检查通过了 {points} 项。"),
    "good": (
        "{points} of {possible} checks passed. Well done.",
        "检查全部通过（{points}/{possible}），作业合格。",
    ),
    "stopped": ("stopped; the server has been ended too", "检查中止，服务器也已结束"),
    "nobody": (
        "no connection to {where} ({error}): start the server first, or name its program, "
        "which is then started",
        "连不上 {where}（{error}）：请先启动服务器；或者不写地址，写它的程序，由检查程序来启动",
    ),
    # -- Checks.
    "answers.title": ("answers a client", "能回答客户端"),
    "answers.fault": ("the first client gets no proper answer", "第一个客户端就得不到正确的回答"),
    "answers.hint": (
        "It must listen on the port it is given, and send back what it gets, as it is or in upper case.",
        "服务器要在给定的端口上监听，把收到的内容原样送回，或者变成大写送回。",
    ),
    "together.title": ("serves many clients at once", "同时服务许多客户端"),
    "together.fault": (
        "clients who are there at the same time disturb each other",
        "几个客户端同时在线，就互相妨碍",
    ),
    "together.hint": (
        "While one client says nothing the others must be served: never wait in recv() for one of them. "
        "Keep what you owe a client with that client.",
        "一个客户端不说话，别的也要照常服务：不能停在某一个的 recv() 上等。欠谁的回答就记在谁名下。",
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
        "一个字的 UTF-8 字节分在两个包里到，就出错",
    ),
    "split-characters.hint": (
        "Give each client a decoder that keeps half a character until the rest comes: "
        "codecs.getincrementaldecoder('utf-8')(), or do not decode at all.",
        "给每个客户端一个自己的解码器 codecs.getincrementaldecoder('utf-8')()，"
        "它会把半个字留到下次；或者干脆不解码。",
    ),
    "silent-client.title": ("is not stopped by a client that says nothing", "有人连上了不说话，也不受影响"),
    "silent-client.fault": (
        "while one client says nothing, others are not served",
        "一个客户端不说话，别的客户端就没人理",
    ),
    "silent-client.hint": (
        "After accept() do not wait for the first words: take what comes when the poller reports it.",
        "accept() 之后不要等它开口：轮询器说有数据了再去收。",
    ),
    "slow-reader.title": ("is not stopped by a client that does not read", "有人只发不收，也不受影响"),
    "slow-reader.fault": (
        "while one client does not read its answers, others are not served",
        "一个客户端不取回答，别的客户端就没人理",
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
    "half-close.title": (
        "answers who has said everything and still listens",
        "对方说完了还在听，最后的话也有回答",
    ),
    "half-close.fault": (
        "who ends its side of the connection does not get the rest of its answers",
        "客户端先关了自己发送的那一边，剩下的回答就收不到了",
    ),
    "half-close.hint": (
        "The end of the stream (recv() returns b'', EPOLLRDHUP) says that no more will come, not that nobody "
        "listens: send what you owe, then close.",
        "流结束（recv() 返回 b''，或者 EPOLLRDHUP）只说明对方不再发，不说明对方不再听："
        "先把欠的发完，再关闭。",
    ),
    "reset.title": ("survives clients whose connection breaks off", "连接突然中断也活得下去"),
    "reset.fault": (
        "a client whose connection breaks off takes the server with it",
        "一个客户端的连接突然中断，服务器就跟着遭殃",
    ),
    "reset.hint": (
        "recv() and send() may raise ConnectionResetError or BrokenPipeError: catch OSError for that one "
        "client, close it, and go on.",
        "recv() 和 send() 可能抛出 ConnectionResetError、BrokenPipeError："
        "就为这一个客户端捕获 OSError，关掉它，接着干。",
    ),
    "crowd.title": ("serves {connections} connections", "{connections} 个连接同时在线"),
    "crowd.fault": ("it does not serve so many clients", "服务不了这么多客户端"),
    "crowd.hint": (
        "Look at listen()'s backlog, at work that grows with each client, and at what happens when accept() "
        "fails or select() refuses a descriptor.",
        "检查 listen() 的队列长度，检查哪些工作随客户端增多而变慢，"
        "再看 accept() 失败、select() 拒收描述符时会怎样。",
    ),
    "descriptors.title": ("gives every descriptor back", "描述符全部归还"),
    "descriptors.fault": ("connections stay open after their clients have left", "客户端走了，连接还开着"),
    "descriptors.hint": (
        "Call close() on every way out: after b'', after an error. Taking a socket off a list "
        "does not close it.",
        "每条出路上都要 close()：收到 b'' 之后，出错之后。把套接字从列表里去掉并不会关闭它。",
    ),
    "idle.title": ("sleeps while nobody says anything", "没人说话时不耗 CPU"),
    "idle.fault": ("it burns processor time while nobody says anything", "没人说话，它也在耗 CPU"),
    "idle.hint": (
        "Polling in a circle never sleeps: ask select, poll or epoll without a timeout. If you do, somebody "
        "is reported ready again and again: a client that has gone, or one watched for writing with nothing "
        "to write.",
        "轮着问每个套接字，就永远不睡：改用不带超时的 select、poll 或 epoll。如果已经用了，"
        "那就是有人一直被报告就绪：已经离开的客户端，或者没东西可写却在等可写的。",
    ),
    "ctrl-c.title": ("stops on Ctrl-C", "按 Ctrl-C 能停下来"),
    "ctrl-c.fault": ("Ctrl-C does not stop it", "按 Ctrl-C 停不下来"),
    "ctrl-c.hint": (
        "Ctrl-C is KeyboardInterrupt: a bare `except:` swallows it. Catch OSError where you expect OSError.",
        "Ctrl-C 就是 KeyboardInterrupt，光写 except: 会把它吞掉。该捕获 OSError 的地方就写 OSError。",
    ),
    # -- How.
    "silent": (
        "after {seconds:g} s of waiting, {got} of the answer's {wanted} bytes had come",
        "等了 {seconds:g} 秒，{wanted} 个字节只来了 {got} 个",
    ),
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
    "in-answer-to": ("`{command}`: {words}", "`{command}`：{words}"),
    "exit-code": ("exit code {code}", "退出码 {code}"),
    "deaf": (
        "the program runs but listens nowhere after {seconds:g} s",
        "程序在运行，但过了 {seconds:g} 秒还没有在任何端口上监听",
    ),
    "threads": (
        "{count} threads in {processes} process(es) with {clients} clients",
        "{clients} 个客户端，用了 {processes} 个进程、{count} 个线程",
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
    "busy": (
        "{percent}% of the time it runs, or waits for a processor",
        "{percent}% 的时间在运行，或者在等处理器",
    ),
    "unstoppable": ("it goes on running for {seconds:g} s", "过了 {seconds:g} 秒还在运行"),
    "traceback": (
        "it stops, with a traceback: catch KeyboardInterrupt around the outermost call",
        "停是停了，但打印出一串报错：在最外层捕获 KeyboardInterrupt",
    ),
    "limit-select": (
        "{served} clients, then select() is at its end: it cannot watch a descriptor above {limit}. "
        "That is the model's limit, not yours; poll and epoll have none",
        "服务了 {served} 个，select() 到头了：它管不了大于 {limit} 的描述符。"
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
    "needs": ("needs: {check}", "要先通过：{check}"),
    "unseen": (
        "not visible from here: the server belongs to another machine or user",
        "这里看不到：服务器属于别的机器或别的用户",
    ),
    "not-ours": ("not tried: somebody else has started this server", "没有做：这个服务器不是检查程序启动的"),
}


def language(wanted: str | None = None) -> str:
    """``en`` or ``zh``: *wanted*, or what the environment asks for, as gettext reads it."""
    if wanted:
        return wanted
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def say(lang: str, name: str, values: Mapping[str, Any] | None = None) -> str:
    """The text called *name*, filled in. Bytes are shown as text, with what cannot be shown escaped."""
    filled = {key: _show(lang, key, value) for key, value in (values or {}).items()}
    return TEXTS[name][LANGUAGES.index(lang)].format(**filled)


def _show(lang: str, key: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Trouble):
        return say(lang, value.how, value.values)
    if isinstance(value, list):
        return say(lang, "and").join(_show(lang, key, item) for item in value)
    if key == "words" and isinstance(value, int):
        return say(lang, "exit-code", {"code": value})
    if key == "check":
        return say(lang, f"{value}.title")
    return value
