"""A small shop, instrumented with prometheus_client as its documentation shows it."""
import sys

from flask import Flask
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

app = Flask("shop")
ORDERS = Counter("shop_orders_total", "Orders taken.", ["kind"])
STOCK = Gauge("shop_stock", "Items on the shelf.")
LATENCY = Histogram("shop_request_duration_seconds", "Time to serve a page.", buckets=(0.01, 0.1, 1))
STOCK.set(42)


@app.route("/")
def home():
    with LATENCY.time():
        ORDERS.labels(kind="book").inc()
        return "welcome"


@app.route("/stock/<int:n>")
def stock(n):
    STOCK.set(n)
    return "ok"


@app.route("/metrics")
def metrics():
    return generate_latest(), 200, {"Content-Type": CONTENT_TYPE_LATEST}


app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
