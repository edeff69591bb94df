"""A FastAPI service in which one request delays all others. The fault: it sleeps for real."""

import time

from fastapi import FastAPI

app = FastAPI()


def convert(amount):
    time.sleep(0.3)  # asks another service, in blocking style
    return amount * 2


@app.get("/price/{amount}")
async def price(amount: int):
    return {"price": convert(amount)}


@app.get("/")
async def index():
    return {"hello": "world"}
