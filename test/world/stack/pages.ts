/** The pages of a shop that has none yet: where people land after they paid on the local stack, or did not. */

/** What a page says of a workspace. */
export interface Wallet {
  available: number;
  pools: { pool: string; available: number }[];
}

/** The page after a payment. It shows what there is now, and looks again every few seconds: real Stripe may need some. */
export function thanksPage(wallet: Wallet | null): string {
  const credits =
    wallet === null
      ? "<p>There is no such workspace.</p>"
      : `<p>The workspace has <strong id="credits">${wallet.available}</strong> credits` +
        `${wallet.pools.map(({ pool, available }) => `, ${available} of them ${pool}`).join("")}.</p>`;
  return page("Thank you", `${credits}\n<p>You may close this page.</p>`, '<meta http-equiv="refresh" content="3" />');
}

/** The page after somebody went back without paying. */
export function canceledPage(): string {
  return page("Nothing was paid", "<p>You may close this page.</p>");
}

/** What the outside world was told and did, the newest last. */
export function outsidePage(lines: string): string {
  const escaped = lines.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return page(
    "What left the house",
    lines === "" ? "<p>Nothing yet.</p>" : `<pre>${escaped}</pre>`,
    '<meta http-equiv="refresh" content="3" /><style>body{max-width:none!important}</style>',
  );
}

function page(title: string, body: string, head = ""): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width" />
${head}
<title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}small{color:#666}</style>
</head>
<body>
<h1>${title}</h1>
${body}
<p><small>A page of Tollgate's local stack, in place of your own.</small></p>
</body>
</html>
`;
}
