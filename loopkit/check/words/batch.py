"""The marks of a whole class."""

# ruff: noqa: RUF001 - these are the punctuation marks of Chinese, not look-alikes of ours

TEXTS: dict[str, tuple[str, str]] = {
    "mark": ("{got} of {possible}", "{got}/{possible} 分"),
    "class": (
        "{marked} of {students} students marked, {good} without a fault; {mean} points on average.",
        "{students} 名学生，{marked} 名有成绩，{good} 名没有错误，平均 {mean} 分。",
    ),
    "unsteady": ("not the same each time", "几遍结果不一致"),
    "undecided-checks": ("not decided: {checks}", "无法判断：{checks}"),
    "marked-before": ("(marked before)", "（已有成绩）"),
    "which-program": (
        "no mark: which file in {folder} is the program? Call it server.py (client.py), or name it",
        "没有成绩：{folder} 里哪个文件是程序？请命名为 server.py（client.py），或者直接写出文件",
    ),
    "not-examined": ("no mark: the examination failed ({error})", "没有成绩：检查没能完成（{error}）"),
    "nobody-here": ("{folder}: there is no program in it", "{folder}：里面没有程序"),
    "page-title": ("Marks", "成绩"),
    "column.student": ("student", "学生"),
    "column.program": ("program", "程序"),
    "column.mark": ("mark", "得分"),
    "column.of": ("of", "满分"),
    "column.faults": ("faults", "错误"),
    "column.undecided": ("not decided", "无法判断"),
    "column.steady": ("same each time", "几遍一致"),
    "column.seconds": ("seconds", "秒"),
    "column.note": ("note", "备注"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "rubric-unread": ("--rubric: {file} cannot be read: {error}", "--rubric：读不了 {file}：{error}"),
    "rubric-unknown": (
        "--rubric: {file}: there is no {name!r}; there are total, [weights], other, and the names of checks",
        "--rubric：{file}：没有 {name!r} 这一项；可以写 total、[weights]、other 和各项检查的名字",
    ),
    "rubric-number": (
        "--rubric: {file}: {name} is {value!r}, and must be a number from 0 on",
        "--rubric：{file}：{name} 是 {value!r}，应该是大于等于 0 的数",
    ),
    "rubric-nothing": (
        "--rubric: {file}: every check is worth 0",
        "--rubric：{file}：所有检查都是 0 分",
    ),
    "unwritable": ("{option}: {file} cannot be written: {error}", "{option}：写不了 {file}：{error}"),
    "batch-stopped": (
        "stopped; {done} of {of} are marked, and the same command goes on from there",
        "检查中止；{of} 名里已有 {done} 名有成绩，再执行同一条命令会接着检查",
    ),
    "wrote": ("wrote {file}", "已写入 {file}"),
}
