/** What a page for a reader says. */
interface Words {
  title: string;
  text: string;
  /** What its button says, where it has one. */
  button?: string;
}

interface Pages {
  /** Before anything is changed. */
  ask: Words;
  /** He hears of no broadcast any more. */
  done: Words;
  /** The link is none of ours. */
  none: Words;
}

/** What is said about notices on both pages: they are another matter. */
const pages: Readonly<Record<string, Pages>> = {
  en: {
    ask: {
      title: "Unsubscribe",
      text: "No more announcements will be sent to you. Messages about your own purchases and subscriptions are not touched.",
      button: "Unsubscribe",
    },
    done: {
      title: "You are unsubscribed",
      text: "No more announcements are sent to you. Messages about your own purchases and subscriptions are not touched.",
    },
    none: { title: "This link is not valid", text: "Please use it as it stands in the message: it may have been cut." },
  },
  de: {
    ask: {
      title: "Abmelden",
      text: "Sie erhalten dann keine Ankündigungen mehr. Nachrichten zu Ihren eigenen Käufen und Abonnements bleiben davon unberührt.",
      button: "Abmelden",
    },
    done: {
      title: "Sie sind abgemeldet",
      text: "Sie erhalten keine Ankündigungen mehr. Nachrichten zu Ihren eigenen Käufen und Abonnements bleiben davon unberührt.",
    },
    none: {
      title: "Dieser Link ist ungültig",
      text: "Bitte verwenden Sie ihn so, wie er in der Nachricht steht: vielleicht wurde er gekürzt.",
    },
  },
};

/** A page in a reader's language (`de`, `de-AT`) where the house speaks it, else in English. Its button posts to where it came from. */
export function page(which: keyof Pages, language: string | null): string {
  const base = language?.split("-")[0] ?? "en";
  const spoken = Object.hasOwn(pages, base) ? base : "en";
  const { title, text, button } = pages[spoken]?.[which] ?? { title: "", text: "" };
  const form =
    button === undefined
      ? ""
      : `\n<form method="post"><button name="List-Unsubscribe" value="One-Click">${button}</button></form>`;
  return `<!doctype html>
<html lang="${spoken}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head>
<body><h1>${title}</h1>
<p>${text}</p>${form}</body>
</html>
`;
}
