"""A Django project in one file: asynchronous and synchronous views, and both from within each other."""

import asyncio

import django
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from proof import loop_name


async def about(request):
    return JsonResponse({"loop": loop_name()})


async def echo(request):
    return HttpResponse(request.body)


async def slow(request):
    async def parts():
        yield b"first;"
        await asyncio.sleep(0.01)
        yield b"last"

    return StreamingHttpResponse(parts())


def through_a_thread(request):
    """Runs in a thread, and has the server's loop run a coroutine from there."""
    return HttpResponse(async_to_sync(asks_a_thread)())


async def asks_a_thread():
    return await sync_to_async(str.upper)(loop_name())


settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="for this test",
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=10_000_000,
)
django.setup()
urlpatterns = [
    path("", about),
    path("echo", echo),
    path("slow", slow),
    path("thread", through_a_thread),
]
app = get_asgi_application()
