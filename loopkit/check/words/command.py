"""The frame of a report, help, and what is wrong with a command."""

# ruff: noqa: RUF001 - these are the punctuation marks of Chinese, not look-alikes of ours

TEXTS: dict[str, tuple[str, str]] = {
    # -- A report.
    "server": ("server: {where}, {what}", "服务器：{where}，{what}"),
    "answers.upper": ("answers in upper case", "响应变成大写"),
    "answers.upper-ascii": ("answers with a-z in upper case", "响应里 a-z 变成大写"),
    "answers.echo": ("echoes what it gets", "收到什么回什么"),
    "answers.any": ("answers something to each message", "每条消息都有响应，内容不限"),
    "answers.greeting": ("greets who comes", "连上就打招呼，内容不限"),
    "answers.": ("gives no usable answer", "没有可用的响应"),
    "status.passed": ("ok   ", "通过"),
    "status.limited": ("limit", "受限"),
    "status.fault": ("FAULT", "错误"),
    "status.skipped": ("skip ", "跳过"),
    "status.undecided": ("?    ", "不明"),
    "status.unavailable": ("n/a  ", "不测"),
    "because": ("{fault}: {how}", "{fault}：{how}"),
    "briefly": ("{title} ({how})", "{title}（{how}）"),
    "and": ("; ", "；"),
    "full-stop": (".", "。"),
    "score": ("{points} of {possible} checks passed.", "{possible} 项检查通过了 {points} 项。"),
    "good": (
        "{points} of {possible} checks passed. Well done.",
        "检查全部通过（{points}/{possible}），作业合格。",
    ),
    "its-errors": ("what the program wrote to stderr:", "程序写到 stderr 的内容："),
    "stopped": ("stopped; the program has been ended too", "检查中止，程序也已结束"),
    "nobody": (
        "no connection to {where} ({error}): start the server first, or name its program, "
        "which is then started",
        "连不上 {where}（{error}）：请先启动服务器；或者不写地址，写它的程序，由检查程序来启动",
    ),
    # -- What is wrong with a command.
    "see-help": ("{what}; see loopkit check --help", "{what}；用法见 loopkit check --help"),
    "needs-linux": (
        "check needs Linux: it reads from /proc where a process listens",
        "check 只能在 Linux 上用：进程在哪里监听是从 /proc 里读来的",
    ),
    "needs-value": ("{option} needs a value", "{option} 后面要有一个值"),
    "not-understood": ("check does not understand {word!r}", "check 不认识 {word!r}"),
    "no-program": ("check needs a program or HOST:PORT", "check 需要一个程序，或者 主机:端口"),
    "none-of": ("{option}: {value!r} is none of {choices}", "{option}：{value!r} 不在可选值 {choices} 之中"),
    "no-number": (
        "{option}: {value!r} is no number from {least:g} to {most:g}",
        "{option}：{value!r} 不是 {least:g} 到 {most:g} 之间的数",
    ),
    "port-taken": (
        "--port: {port} is taken ({error}); choose another one, or leave it out",
        "--port：端口 {port} 已被占用（{error}）；换一个，或者不写",
    ),
    "port-taken-by": (
        "--port: {port} is taken, process {pid} listens there; end that first, or choose another one",
        "--port：端口 {port} 已被占用，进程 {pid} 正在监听；先结束它，或者换一个",
    ),
    "runs-already": (
        "{target} runs already: it can be given neither arguments nor a port",
        "{target} 已经在运行：不能再给它参数或端口",
    ),
    "no-such-port": ("{target!r}: ports go from 1 to 65535", "{target!r}：端口号是 1 到 65535"),
    "no-such-host": ("{target!r}: {error}", "{target!r}：{error}"),
    "not-found": (
        "can't find {target!r}: neither a file nor HOST:PORT",
        "找不到 {target!r}：既不是文件，也不是 主机:端口",
    ),
    "not-readable": ("can't read {target!r}: permission denied", "读不了 {target!r}：没有权限"),
    "behind": (
        "note: what stands after the program is given to it: {words}. Options of check come before it",
        "注意：程序名后面的都交给程序：{words}。check 自己的选项要写在程序名前面",
    ),
    "no-chinese": (
        "note: this terminal's encoding ({encoding}) has no Chinese characters, so this is English; "
        "try PYTHONUTF8=1",
        "note: this terminal's encoding ({encoding}) has no Chinese characters（中文）; try PYTHONUTF8=1",
    ),
    "only-with": ("{option} goes with {other} only", "{option} 只能和 {other} 一起用"),
    "not-with": ("{option} does not go with {other}", "{option} 不能和 {other} 一起用"),
    # -- Help.
    "usage": (
        """\
usage: loopkit check [OPTIONS] PROGRAM [ARGS...]
       loopkit check [OPTIONS] HOST:PORT
       loopkit check --client [OPTIONS] PROGRAM [ARGS...]
       loopkit check --batch [OPTIONS] FOLDER|PROGRAM...

Starts a student's server, or connects to one that runs, and says what is
wrong with it; or does so with a client, or with the servers of a class.
PROGRAM is a Python script, or any executable. All that stands after it is
given to it: OPTIONS come first. {{port}} (and {{host}}) in ARGS stand for where
the server is; without them the usual ways are tried in turn.
Exit code 0: it passed; 1: it has faults; 2: bad usage, or no output.
With --batch 0: everybody has a mark; 1: somebody has none.

  --lang zh|en       the language; default: that of the environment (LANG)
  --json             print the result as one JSON object
  -v, --verbose      show all that a program that ended wrote to stderr
  --expect ANSWER    upper, echo, or any; default: upper or echo, as it does
  --port PORT        give the program this port; default: a free one
  --timeout SECONDS  how long to wait for an answer; default: 5
  --connections N    how many clients the crowd has; default: 1000
  --memory MB        how much memory the program may have; default: no limit
                     (1024 with --batch)

  --client           PROGRAM is a client: it is given a server to talk to
  --batch            a class: all programs of a folder, or all that are named

with --batch:
  --csv FILE         write the marks as a table
  --html FILE        write them as a page, with every fault explained
  --rubric FILE      what each check is worth (TOML)
  --repeat N         examine each N times; default: 1
  --jobs N           so many at once; default: as many as processors
  --again            mark anew who was marked before
""",
        """\
用法：loopkit check [选项] 程序 [参数...]
      loopkit check [选项] 主机:端口
      loopkit check --client [选项] 程序 [参数...]
      loopkit check --batch [选项] 文件夹|程序...

启动学生写的服务器（或者连接已在运行的服务器），指出哪里有错；
也可以检查客户端，或者一次检查全班的服务器。
“程序”是 Python 脚本，或者任何可执行文件。程序名后面的都交给程序：
选项要写在前面。参数里的 {{port}}（和 {{host}}）代表服务器的地址；
不写的话，依次试几种常见的写法。
退出码 0：通过；1：有错误；2：命令写错了，或者无法输出。
配合 --batch 时 0：人人都有成绩；1：有人没有成绩。

  --lang zh|en       用哪种语言；默认看环境变量（LANG）
  --json             结果打印成一个 JSON 对象
  -v, --verbose      程序结束时，显示它写到 stderr 的全部内容
  --expect 响应      upper、echo 或 any；默认 upper 或 echo，自动判断
  --port 端口        指定给程序的端口；默认用空闲的
  --timeout 秒       一个响应等多久；默认 5
  --connections N    同时在线的客户端数目；默认 1000
  --memory MB        程序最多用多少内存；默认不限
                     （--batch 时默认 1024）

  --client           程序是客户端：给它一个服务器去连接
  --batch            全班：一个文件夹里的所有程序，或者列出的所有程序

配合 --batch：
  --csv 文件         成绩写成表格
  --html 文件        成绩写成网页，逐项说明错误
  --rubric 文件      每项检查占多少分（TOML）
  --repeat N         每份检查 N 遍；默认 1
  --jobs N           同时检查几份；默认等于处理器数目
  --again            已有成绩的也重新检查
""",
    ),
}
