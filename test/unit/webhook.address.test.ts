import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { urlFault } from "../../src/outside/webhook/address.ts";
import { projectRoot } from "../world/bundle.ts";

const deployed = { local: false };
const onThisMachine = { local: true };

describe("events may be sent to", () => {
  test.each([
    "https://app.example/webhooks",
    "https://APP.Example./webhooks?from=tollgate",
    "https://hooks.shop.co.uk:8443/a",
    "https://xn--bcher-kva.example/",
    "https://bücher.example/",
    "https://8.8.8.8/",
    "https://[2606:4700:4700::1111]/",
    "https://mylocal.example/",
    "https://localhost.app.example/",
    "https://my-internal.example/",
    "https://10.0.0.1.sslip.example/",
  ])("%s", (url) => expect(urlFault(url, deployed)).toBeNull());
});

/** Every private form of a host, with what it is. */
const hosts = [
  // Names of this machine and its neighbours.
  "localhost",
  "LOCALHOST",
  "localhost.",
  "localhost.localdomain",
  "app.localhost",
  "app.localhost.",
  "ｌｏｃａｌｈｏｓｔ",
  "ⓛocalhost",
  "loc%61lhost",
  "db",
  "metadata",
  "printer.local",
  "vault.internal",
  "metadata.google.internal",
  "instance-data.ec2.internal",
  "nas.lan",
  "router.home.arpa",
  "1.0.0.127.in-addr.arpa",
  "wiki.corp",
  "wiki.intranet",
  "box.home",
  "x.private",
  "x.test",
  "x.invalid",
  "x.onion",
  // IPv4, in all its forms: dotted, short, decimal, octal, hexadecimal, digits of other scripts, percent signs, dots.
  "127.0.0.1",
  "127.0.0.1.",
  "127.1",
  "127.0.1",
  "2130706433",
  "0x7f000001",
  "0x7f.1",
  "0x7F.0.0x0.1",
  "017700000001",
  "0177.0.0.1",
  "0177.1",
  "127.000.000.001",
  "１２７.0.0.1",
  "①②⑦.0.0.1",
  "127。0。0。1",
  "%31%32%37.0.0.1",
  "0",
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "10.255.255.255",
  "167772161",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.0.1",
  "0xc0a80001",
  "169.254.169.254",
  "0xa9fea9fe",
  "2852039166",
  "0251.0376.0251.0376",
  "100.64.0.1",
  "100.100.100.200",
  "100.127.255.255",
  "192.0.0.1",
  "192.0.0.192",
  "192.0.2.1",
  "192.88.99.1",
  "198.18.0.1",
  "198.19.255.255",
  "198.51.100.1",
  "203.0.113.1",
  "224.0.0.1",
  "239.255.255.250",
  "240.0.0.1",
  "255.255.255.255",
  // IPv6: itself, and what carries an IPv4 address.
  "[::]",
  "[::1]",
  "[0:0:0:0:0:0:0:1]",
  "[0000::0001]",
  "[::127.0.0.1]",
  "[::7f00:1]",
  "[::8.8.8.8]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[::FFFF:10.0.0.1]",
  "[::ffff:8.8.8.8]",
  "[::ffff:0:127.0.0.1]",
  "[64:ff9b::127.0.0.1]",
  "[64:ff9b::a9fe:a9fe]",
  "[64:ff9b:1::1]",
  "[2002:7f00:1::]",
  "[2002:a00:1::1]",
  "[2001:0:7f00:1::]",
  "[2001:db8::1]",
  "[2001:10::1]",
  "[2001:20::1]",
  "[2001:2::1]",
  "[3fff::1]",
  "[5f00::1]",
  "[100::1]",
  "[fc00::1]",
  "[fd00:ec2::254]",
  "[fd12:3456:789a::1]",
  "[fe80::1]",
  "[fe80::a9fe:a9fe]",
  "[feb0::1]",
  "[fec0::1]",
  "[ff02::1]",
  "[4000::1]",
];

describe("nothing may be sent to a host that is not public, in whatever form", () => {
  test.each(hosts)("%s", (host) => {
    for (const url of [`https://${host}/`, `https://${host}:8443/hook?x=1`, `HTTPS://${host}`]) {
      expect(urlFault(url, deployed), url).not.toBeNull();
      expect(urlFault(url, onThisMachine), url).not.toBeNull();
    }
    expect(urlFault(`http://${host}/`, deployed)).not.toBeNull();
  });
});

describe("nothing may be sent where the URL itself is wrong", () => {
  test.each([
    "",
    "app.example/hook",
    "//app.example/hook",
    "/hook",
    "http://app.example/",
    "ftp://app.example/",
    "ws://app.example/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:text/plain,x",
    "https:///",
    "https://user@app.example/",
    "https://user:password@app.example/",
    "https://app.example@127.0.0.1/",
    "https://127.0.0.1@app.example/",
    "https://app.example:password@10.0.0.1:443/",
    "https://app.example/#fragment",
    "https://app.example/#",
    "https://app.example:0/",
    "https://app.example:22/",
    "https://app.example:25/",
    "https://app.example:80/",
    "https://app.example:65536/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[::1",
    "https://[127.0.0.1]/",
    "https://1.2.3.4.5/",
    "https://app.127/",
    "https://256.256.256.256/",
    "https://0x7f.0.0.0.1/",
    "https://app..example/",
    "https://.example/",
    "https://exa mple.com/",
    `https://app.example/${"x".repeat(2000)}`,
  ])("%s", (url) => expect(urlFault(url, deployed)).not.toBeNull());
});

test.each(["http://127.0.0.1:4000/hook", "http://localhost:4000/", "http://[::1]:4000/"])(
  "the local stack's receivers are on this machine, and nobody else's: %s",
  (url) => {
    expect(urlFault(url, onThisMachine)).toBeNull();
    expect(urlFault(url, deployed)).not.toBeNull();
  },
);

test.each([
  "http://10.0.0.1:4000/",
  "http://0.0.0.0:4000/",
  "http://user@127.0.0.1/",
  "http://app.example/",
  "https://127.0.0.1/",
])("nor does the local stack send anywhere else: %s", (url) => expect(urlFault(url, onThisMachine)).not.toBeNull());

test("requests to hosts of the Worker's own zone come in from outside, as anybody's do", () => {
  const config = readFileSync(join(projectRoot, "wrangler.toml"), "utf8");
  expect(config).toMatch(/^compatibility_flags = \[.*"global_fetch_strictly_public".*\]$/m);
});
