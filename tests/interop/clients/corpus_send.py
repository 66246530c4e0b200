"""Delivers files by smtplib on the reception port, one transaction each, and says what came of it.

Usage: corpus_send.py PORT SENDER RECIPIENT FILE... Prints one JSON line for each file. Line ends
become CRLF first: a transfer has no others.
"""

import json
import re
import smtplib
import sys


def main():
    port, sender, recipient, files = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    client = smtplib.SMTP("127.0.0.1", int(port), local_hostname="elsewhere.test", timeout=25)
    client.ehlo()
    for name in files:
        with open(name, "rb") as file:
            content = re.sub(rb"\r\n|\r|\n", b"\r\n", file.read())
        options = ["BODY=8BITMIME"] if client.has_extn("8bitmime") else []
        try:
            client.sendmail(sender, [recipient], content, options)
            said = {"code": 250}
        except smtplib.SMTPResponseException as error:
            said = {"code": error.smtp_code, "text": error.smtp_error.decode("latin-1")}
        print(json.dumps({"file": name, **said}), flush=True)
    client.quit()


main()
