/** A panel's names have 32 characters at most: a key's are its hexadecimal digits. */
export const nameOf = (key: string): string => key.replaceAll("-", "");

/** Random UUIDs only, as keys are: a panel has users of other people's, too. */
const ours = /^([0-9a-f]{8})([0-9a-f]{4})(4[0-9a-f]{3})([89ab][0-9a-f]{3})([0-9a-f]{12})$/;

/** The key whose name it is; null: it is none of ours. */
export function keyOf(name: string): string | null {
  const parts = ours.exec(name);
  return parts === null ? null : parts.slice(1).join("-");
}
