"""The Jupyter server, which tells which loop it runs on when it does."""

from jupyter_server.serverapp import ServerApp
from proof import loop_name
from tornado.ioloop import IOLoop


class Server(ServerApp):
    def start_app(self):
        super().start_app()
        IOLoop.current().add_callback(lambda: print("loop:", loop_name(), flush=True))


Server.launch_instance()
