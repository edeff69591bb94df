"""Scrapy told by its settings; it fetches from a server of the standard library."""

import http.server
import threading

import scrapy
from proof import loop_name
from scrapy.crawler import CrawlerProcess


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<html><title>page %s</title><a href='/1'>next</a></html>" % self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Spider(scrapy.Spider):
    name = "spider"

    async def start(self):
        yield scrapy.Request(f"http://127.0.0.1:{server.server_port}/0")

    async def parse(self, response):
        print(response.css("title::text").get())
        if response.url.endswith("/0"):
            yield response.follow("/1")
        else:
            print("loop:", loop_name())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
settings = {
    "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    "ASYNCIO_EVENT_LOOP": "loopkit.Loop",
    "LOG_LEVEL": "ERROR",
    "TELNETCONSOLE_ENABLED": False,
}
process = CrawlerProcess(settings)
process.crawl(Spider)
process.start()
server.shutdown()
