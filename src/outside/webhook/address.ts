import { IPv4, IPv6 } from "ipaddr.js";

/** Names that mean this machine or its neighbours, whatever stands before them. */
const ownNames =
  /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|arpa|test|invalid|onion|alt)$/;

const loopback = new Set(["127.0.0.1", "[::1]", "localhost"]);

/** Long enough for any URL that a system has, and the table's limit. */
export const longestUrl = 2000;

/**
 * Why nothing may be sent to this URL; null: it may. What is classified is the parsed address, never the text: the URL parser turns
 * decimal, octal, hexadecimal and short forms, and digits of other scripts, into one. A name is not looked up here: see SECURITY.md.
 * `local`: the local stack, whose receivers are on this machine.
 */
export function urlFault(text: string, { local }: { local: boolean }): string | null {
  const url = text.length <= longestUrl ? URL.parse(text) : null;
  if (url === null) return "it is no URL";
  if (url.username !== "" || url.password !== "") return "it has credentials in it";
  if (local && url.protocol === "http:" && loopback.has(url.hostname)) return null;
  if (url.protocol !== "https:") return "it is not https";
  if (url.hash !== "" || text.includes("#")) return "it has a fragment, which is never sent";
  // Under 1024 are the services of a machine: mail, shells, file shares.
  if (url.port !== "" && Number(url.port) < 1024) return "its port is another service's";
  return hostFault(url.hostname);
}

function hostFault(hostname: string): string | null {
  if (hostname.startsWith("[")) return isPublic6(hostname.slice(1, -1)) ? null : "its address is not public";
  const name = hostname.replace(/\.$/, "");
  if (IPv4.isValid(name)) return IPv4.parse(name).range() === "unicast" ? null : "its address is not public";
  if (!name.includes(".") || ownNames.test(name)) return "its host is not public";
  // What looks like a number at the end is no name: a parser that reads it otherwise than ours would make an address of it.
  return /^(?:[a-z0-9_-]+\.)+(?=[a-z])[a-z0-9-]+$/.test(name) ? null : "its host is no name";
}

/**
 * Only global unicast: outside 2000::/3 are loopback, link-local, unique local, multicast, and the forms that carry an IPv4
 * address (mapped, compatible, translated, NAT64); inside it are those of 6to4 and Teredo, and ranges for documentation.
 */
function isPublic6(text: string): boolean {
  if (!IPv6.isValid(text)) return false;
  const address = IPv6.parse(text);
  const [first = 0] = address.parts;
  return first >>> 13 === 1 && address.range() === "unicast";
}
