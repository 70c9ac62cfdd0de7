/**
 * An endpoint's secret, as Standard Webhooks write it: `whsec_` and 32 bytes in base64. It is made (HKDF, SHA-256) from the deployment's key, the
 * endpoint's id and the secret's number, so that it is kept nowhere, and whoever reads the database can sign nothing.
 */
export async function endpointSecret(key: Uint8Array<ArrayBuffer>, endpoint: string, number: number): Promise<string> {
  const material = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode(`tollgate webhook endpoint ${endpoint} ${number}`);
  const made = await crypto.subtle.deriveBits(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info },
    material,
    256,
  );
  return `whsec_${btoa(String.fromCharCode(...new Uint8Array(made)))}`;
}
