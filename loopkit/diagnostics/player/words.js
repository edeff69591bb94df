"use strict";
// What the page says, in both languages. %0, %1 ... are filled in.
const WORDS = {
  en: {
    other: "中文", help: "Keys", close: "Close", overview: "All turns: the higher, the longer", speed: "speed",
    first: "first step", last: "last step", back: "one step back", forward: "one step on", backTurn: "one turn back",
    nextTurn: "one turn on", play: "play, pause", slowest: "Slowest callback", why: "Why did this run?", return: "Return",
    comma: ", ", semicolon: "; ", colon: ": ", stop: ".", space: " ", poll: "poll", fds: "descriptors", ready: "ready queue", timers: "timers", tasks: "tasks", plain: "callbacks",
    place: "turn %0 of %1, step %2 of %3, at %4", turn: "turn %0",
    askForever: "The loop asks the kernel and sleeps until something happens: nothing is ready, and there is no timer.",
    askTimeout: "The loop asks the kernel and sleeps for at most %0: the next timer is due then.",
    askNow: "The loop asks the kernel without sleeping: something is ready already.",
    answer: "After %0 the kernel answers: %1.", nothing: "nothing has happened",
    event: "fd %0 is %1 (%2)", read: "readable", write: "writable", broken: "broken or at its end",
    call: "%0 runs for %1", callTask: "Task %0 (%1) runs for %2",
    whyEvent: "because fd %0 is %1", whyTimer: "because its timer is due (%0 late), set", whySoon: "because it was scheduled", whyFuture: "because what it awaited (%0) is done, and so it was scheduled",
    byStep: "by callback %0", byThread: "by thread %0", byNone: "before the recording begins, or by the program itself",
    waited: "it waited for %0",
    wrote: "writes to fd %0: %1 bytes held until it returns, %2 sent, %3 queued", opened: "fd %0 is opened: %1",
    begins: "task %0 begins", ended: "task %0 has ended", wasCancelled: "task %0 was cancelled",
    closed: "fd %0 is closed", gc: "the garbage collector runs for %0 (generation %1)", error: "error: %0", mark: "%0", seenIn: "it was in %0 (%1:%2) when somebody looked",
    chain: "Why did this run?", chainPoll: "the kernel said so in turn %0", noSource: "no source text",
    times: ", %0 times", found: {}, findings: "what looks wrong: %0", state: "before this turn: %0 ready, %1 timers, %2 descriptors",
    dropped: "%0 earlier turns were not kept. ", empty: "Nothing was recorded.", root: "nothing before it was recorded",
    kinds: { spins: "spins", unread: "unread", unwritten: "nothing to write", rearms: "re-arms at once", "wakes-itself": "wakes itself", leaks: "leaks tasks", blocks: "blocks", silent: "silent" },
    keys: [["← →", "one step back, on"], ["Shift ← →", "one turn back, on"], ["Space", "play, pause"], ["Home End", "first, last step"],
      ["+ -", "faster, slower"], ["s", "slowest callback"], ["w", "why did this run: go to the cause"], ["r", "return"],
      ["l", "中文"], ["t", "light, dark"], ["?", "this help"]],
  },
  zh: {
    other: "English", help: "按键", close: "关闭", overview: "每一圈：越高越久", speed: "速度",
    first: "第一步", last: "最后一步", back: "后退一步", forward: "前进一步", backTurn: "后退一圈", nextTurn: "前进一圈",
    play: "播放或暂停", slowest: "最慢的回调", why: "它为什么运行？", return: "返回",
    comma: "，", semicolon: "；", colon: "：", stop: "。", space: "", poll: "询问", fds: "描述符", ready: "就绪队列", timers: "定时器", tasks: "任务", plain: "回调",
    place: "第 %0 圈，共 %1 圈；第 %2 步，共 %3 步；时刻 %4", turn: "第 %0 圈",
    askForever: "事件循环询问内核，然后一直睡到有事发生：没有就绪的回调，也没有定时器。",
    askTimeout: "事件循环询问内核，最多睡 %0：那时下一个定时器到期。",
    askNow: "事件循环询问内核，但不睡：已经有就绪的回调。",
    answer: "过了 %0，内核回答：%1。", nothing: "什么也没发生",
    event: "fd %0 %1（%2）", read: "可读", write: "可写", broken: "出错或已到末尾",
    call: "%0 运行了 %1", callTask: "任务 %0（%1）运行了 %2",
    whyEvent: "因为 fd %0 %1", whyTimer: "因为定时器到期（晚了 %0），它", whySoon: "它", whyFuture: "因为它等待的 %0 已完成，于是",
    byStep: "由第 %0 个回调安排", byThread: "由线程 %0 安排", byNone: "在录制开始之前安排，或由程序自己安排",
    waited: "它等了 %0",
    wrote: "写 fd %0：暂存 %1 字节，到回调返回时再发；已发送 %2，排队 %3", opened: "打开 fd %0：%1", closed: "关闭 fd %0",
    begins: "任务 %0 开始", ended: "任务 %0 结束", wasCancelled: "任务 %0 被取消",
    gc: "垃圾回收运行了 %0（第 %1 代）", error: "错误：%0", mark: "%0", seenIn: "查看的那一刻，它正在 %0（%1:%2）",
    chain: "它为什么运行？", chainPoll: "内核在第 %0 圈报告的", noSource: "没有源代码",
    times: "，%0 次", findings: "%0 处看起来不对", state: "这一圈之前：就绪 %0，定时器 %1，描述符 %2",
    dropped: "更早的 %0 圈没有保留。", empty: "什么也没有录到。", root: "在它之前什么也没有录到",
    found: { blocks: "%0 让大家等了 %1 秒%2[，共 % 次]%3[，当时在 %]", spins: "连续 %0 圈问了内核却不睡，而且无事可做", unread: "fd %0（%1）连续 %2 次被报告：没有人读走那里的数据", unwritten: "fd %0（%1）连续 %2 次被报告可写：没有写什么，也没有人取消这个写回调",
      rearms: "%0 给自己设了立即到期的定时器，%1 次", "wakes-itself": "任务 %0（%1）连续 %2 次唤醒自己：它什么也不等", silent: "%0 个连接从未说过话，例如 %1",
      leaks: "%0 个 %1 任务%3[（创建于 %）]既没有结束，也至少 %2 秒没有再运行，而且越来越多" },
    kinds: { spins: "空转", unread: "无人读取", unwritten: "没有要写的", rearms: "立即重设", "wakes-itself": "自己唤醒自己", leaks: "任务泄漏", blocks: "阻塞", silent: "沉默" },
    keys: [["← →", "后退、前进一步"], ["Shift ← →", "后退、前进一圈"], ["Space", "播放、暂停"], ["Home End", "第一步、最后一步"],
      ["+ -", "更快、更慢"], ["s", "最慢的回调"], ["w", "它为什么运行：到起因去"], ["r", "返回"],
      ["l", "English"], ["t", "浅色、深色"], ["?", "这些按键"]],
  },
};
let language = "en";
const say = (key, ...parts) => {
  const text = WORDS[language][key];
  return typeof text === "string" ? text.replace(/%(\d)/g, (_, n) => parts[n]) : text;
};
const duration = (units) => {
  const us = units / 10;
  if (us >= 1e6) return (us / 1e6).toFixed(2) + " s";
  return us >= 1000 ? (us / 1000).toFixed(2) + " ms" : us.toFixed(0) + " µs";
};
const maskWords = (mask) => {
  const found = [];
  if (mask & 1) found.push(say("read"));
  if (mask & 4) found.push(say("write"));
  return (found.length ? found : [say("broken")]).join(say("comma"));
};
