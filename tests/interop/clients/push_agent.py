"""A push service and the device behind it: what is posted is decrypted by http-ece, and who posted it is
verified by py-vapid. A JSON line in, a JSON line out.

Usage: push_agent.py DIRECTORY, where the certificate of the service is put.
"""

import base64
import http.server
import json
import os
import queue
import ssl
import subprocess
import sys
import threading

import http_ece
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

DEADLINE_SECONDS = 25


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Agent:
    def __init__(self, directory):
        self.certificate = os.path.join(directory, "push.pem")
        key = os.path.join(directory, "push.key")
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", self.certificate,
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        self.posted = queue.Queue()
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        posted = self.posted

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posted.put((self.headers, body))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def where(self):
        return {"port": self.port, "certificate": self.certificate}

    def _call(self, host, login, password, method, args):
        request = {
            "using": ["urn:ietf:params:jmap:core"],
            "methodCalls": [[method, args, "c"]],
        }
        answer = requests.post(
            f"https://{host}/jmap/api/", json=request, auth=(login, password), timeout=DEADLINE_SECONDS
        )
        answer.raise_for_status()
        return answer.json()["methodResponses"][0][1]

    def subscribe(self, host, login, password):
        """Makes a subscription and answers its code; what was made, and the key of the session."""
        public = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        new = {
            "deviceClientId": "foreign",
            "url": f"https://localhost:{self.port}/device",
            "keys": {"p256dh": base64url(public), "auth": base64url(self.auth)},
        }
        made = self._call(host, login, password, "PushSubscription/set", {"create": {"p": new}})
        told = self.next()["message"]
        code = {told["pushSubscriptionId"]: {"verificationCode": told["verificationCode"]}}
        proved = self._call(host, login, password, "PushSubscription/set", {"update": code})
        session = requests.get(
            f"https://{host}/jmap/session", auth=(login, password), timeout=DEADLINE_SECONDS
        ).json()
        key = session["capabilities"]["urn:ietf:params:jmap:webpush-vapid"]["applicationServerKey"]
        return {"made": made["created"]["p"]["id"], "proved": list(proved["updated"]), "key": key}

    def next(self):
        """The next message, and by which key it is signed."""
        headers, body = self.posted.get(timeout=DEADLINE_SECONDS)
        message = http_ece.decrypt(
            body, private_key=self.private, auth_secret=self.auth, version=headers["Content-Encoding"]
        )
        authorization = headers["Authorization"]
        if not Vapid02.verify(authorization):
            raise ValueError("the signature is wrong")
        fields = dict(field.strip().split("=", 1) for field in authorization.split(" ", 1)[1].split(","))
        return {"message": json.loads(message), "key": fields["k"]}


def main():
    agent = Agent(sys.argv[1])
    for line in sys.stdin:
        call = json.loads(line)
        try:
            result = {"ok": getattr(agent, call["call"])(*call["args"])}
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


main()
