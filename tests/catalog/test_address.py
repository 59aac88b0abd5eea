"""An address that comes in with a prompt must not lead into the operator's own network."""

import pytest

from altyn.catalog.address import may_be_fetched

ORDINARY = [
    "https://example.com/a.png",
    "http://example.com:8080/a.png?b=c#d",
    "HTTPS://EXAMPLE.COM/a.png",
    "https://пример.рф/картинка.png",
    "https://a.b.c.example.co.uk./x",
    "https://93.184.216.34/a.png",
    "https://[2606:2800:220:1:248:1893:25c8:1946]/a.png",
    "https://storage.googleapis.com/bucket/a.pdf",
    "data:image/png;base64,iVBORw0KGgo=",
    "DATA:text/plain,hello world",
    "iVBORw0KGgoAAAANSUhEUgAA",
    "",
]
REFUSED = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "gs://bucket/a",
    "s3://bucket/a",
    "ftp://example.com/a",
    "gopher://example.com/_x",
    "jar:https://example.com!/a",
    "//example.com/a",
    "http:",
    "http://",
    "http:///a",
    "http://?a",
    "http://localhost/a",
    "http://LOCALHOST./a",
    "http://a.localhost/a",
    "http://redis:6379/",
    "http://router.lan/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://printer.local/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://10.0.0.5:8000/v1",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[ff02::1]/",
    "http://[::1",
    "http://user@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://example.com:port/",
    "http://example.com:99999/",
    "http://example.com/\r\nHost: evil",
    "http://exa mple.com/",
    "http://example.com/\x00",
    "http://example..com/",
    "http://ex_ample/",
    "javascript:alert(1)",
    "http://" + "a" * 300 + ".com/",
]


@pytest.mark.parametrize("url", ORDINARY)
def test_an_ordinary_address_and_content_itself_may_go_on(url):
    assert may_be_fetched(url)


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_inside_or_in_disguise_may_not(url):
    assert not may_be_fetched(url)
