/** The id of what Stripe refers to: it gives the id, or the object where it was asked to expand it. */
export function idOf(reference: string | { id: string } | null | undefined): string | null {
  return typeof reference === "string" ? reference : (reference?.id ?? null);
}
