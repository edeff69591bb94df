"""A textual application, driven without a terminal; then its own front door, told in code."""

from proof import loop_name
from textual.app import App
from textual.widgets import Button, Input, Label

import loopkit


class Counter(App):
    count = 0

    def compose(self):
        yield Input()
        yield Button("more", id="more")
        yield Label("0")

    def on_button_pressed(self):
        self.count += 1
        self.query_one(Label).update(str(self.count))


async def drive():
    app = Counter()
    async with app.run_test() as pilot:
        await pilot.click(Input)
        await pilot.press(*"hello")
        await pilot.click("#more")
        await pilot.pause()
        print(app.query_one(Input).value, app.count, app.query_one(Label).content)
    print("loop:", loop_name())


class Brief(App):
    def on_mount(self):
        self.set_timer(0.01, self.leave)

    def leave(self):
        self.exit(loop_name())


loopkit.run(drive())
print("App.run:", Brief().run(headless=True, loop=loopkit.Loop()))
