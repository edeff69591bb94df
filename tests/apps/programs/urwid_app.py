"""urwid on a pseudo terminal: an alarm rings and types a key, which ends it."""

import os
import pty

import urwid
from proof import loop_name

import loopkit

typist, terminal = pty.openpty()
seen = []


def on_key(key):
    seen.append(key)
    if key == "q":
        raise urwid.ExitMainLoop


def on_alarm(loop, data):
    seen.append(loop_name())
    os.write(typist, b"q")


with os.fdopen(terminal, "r+b", 0) as file:
    screen = urwid.display.raw.Screen(input=file, output=open(os.dup(terminal), "w"))
    loop = urwid.MainLoop(
        urwid.SolidFill("x"),
        screen=screen,
        event_loop=urwid.AsyncioEventLoop(loop=loopkit.Loop()),
        unhandled_input=on_key,
    )
    loop.set_alarm_in(0.01, on_alarm)
    loop.run()
print("typed:", seen[1])
print("loop:", seen[0])
