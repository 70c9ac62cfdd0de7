/** What a text of a kind is: one line for who has a place for it (e-mail), and all that is said. */
export interface Text {
  subject: string;
  body: string;
}

/**
 * What comes with the house, by kind and language, for whoever has written nothing of his own. Each body says all of it: not every
 * channel has a subject.
 */
const texts: Readonly<Record<string, Readonly<Record<string, Text>>>> = {
  trial_notice: {
    en: {
      subject: "Your trial ends on {{ends_at}}",
      body:
        "Your trial ends on {{ends_at}} (UTC).\n\n" +
        "{{#renews}}It then goes on as a subscription: {{amount}} will be taken from your balance.{{/renews}}" +
        "{{^renews}}To go on after that, subscribe before it ends.{{/renews}}\n",
    },
    de: {
      subject: "Ihr Probezeitraum endet am {{ends_at}}",
      body:
        "Ihr Probezeitraum endet am {{ends_at}} (UTC).\n\n" +
        "{{#renews}}Danach läuft er als Abonnement weiter: {{amount}} werden von Ihrem Guthaben abgebucht.{{/renews}}" +
        "{{^renews}}Wenn Sie danach weitermachen möchten, schließen Sie vorher ein Abonnement ab.{{/renews}}\n",
    },
  },
  reminder: {
    en: {
      subject: "Your subscription {{#renews}}renews{{/renews}}{{^renews}}ends{{/renews}} on {{ends_at}}",
      body:
        "{{#renews}}Your subscription renews on {{ends_at}} (UTC): {{amount}} will be taken from your balance.{{/renews}}" +
        "{{^renews}}Your subscription ends on {{ends_at}} (UTC). To go on after that, renew it before.{{/renews}}\n",
    },
    de: {
      subject: "Ihr Abonnement {{#renews}}verlängert sich{{/renews}}{{^renews}}endet{{/renews}} am {{ends_at}}",
      body:
        "{{#renews}}Ihr Abonnement verlängert sich am {{ends_at}} (UTC): {{amount}} werden von Ihrem Guthaben abgebucht.{{/renews}}" +
        "{{^renews}}Ihr Abonnement endet am {{ends_at}} (UTC). Wenn Sie danach weitermachen möchten, verlängern Sie es vorher.{{/renews}}\n",
    },
  },
  subscription_renewed: {
    en: {
      subject: "Your subscription was renewed",
      body: "Your subscription was renewed until {{ends_at}} (UTC). {{amount}} were taken from your balance.\n",
    },
    de: {
      subject: "Ihr Abonnement wurde verlängert",
      body: "Ihr Abonnement wurde bis {{ends_at}} (UTC) verlängert. {{amount}} wurden von Ihrem Guthaben abgebucht.\n",
    },
  },
  renewal_failed: {
    en: {
      subject: "Your subscription could not be renewed",
      body:
        "Your balance has less than the {{amount}} that your subscription costs.\n\n" +
        "Please top it up: without it, your subscription is over on {{ends_at}} (UTC).\n",
    },
    de: {
      subject: "Ihr Abonnement konnte nicht verlängert werden",
      body:
        "Ihr Guthaben reicht für den Preis Ihres Abonnements, {{amount}}, nicht aus.\n\n" +
        "Bitte laden Sie es auf: sonst ist Ihr Abonnement am {{ends_at}} (UTC) zu Ende.\n",
    },
  },
  trial_ended: {
    en: { subject: "Your trial has ended", body: "Your trial has ended. To go on, subscribe to a plan.\n" },
    de: {
      subject: "Ihr Probezeitraum ist zu Ende",
      body: "Ihr Probezeitraum ist zu Ende. Wenn Sie weitermachen möchten, schließen Sie ein Abonnement ab.\n",
    },
  },
  subscription_ended: {
    en: {
      subject: "Your subscription has ended",
      body:
        "Your subscription has ended{{#canceled}}, as you asked{{/canceled}}{{#unpaid}}: it was not paid{{/unpaid}}" +
        "{{#not_renewed}}: it was not renewed{{/not_renewed}}.\n",
    },
    de: {
      subject: "Ihr Abonnement ist zu Ende",
      body:
        "Ihr Abonnement ist zu Ende{{#canceled}}, wie von Ihnen gewünscht{{/canceled}}" +
        "{{#unpaid}}: es wurde nicht bezahlt{{/unpaid}}{{#not_renewed}}: es wurde nicht verlängert{{/not_renewed}}.\n",
    },
  },
  purchase_paid: {
    en: {
      subject: "We have received your payment",
      body:
        "Thank you. We have received {{amount}}{{#subscription}} for your subscription{{/subscription}}" +
        "{{#pack}} for your order (quantity: {{quantity}}){{/pack}}{{#topup}} for your balance{{/topup}}.\n",
    },
    de: {
      subject: "Wir haben Ihre Zahlung erhalten",
      body:
        "Vielen Dank. Wir haben {{amount}}{{#subscription}} für Ihr Abonnement{{/subscription}}" +
        "{{#pack}} für Ihre Bestellung (Menge: {{quantity}}){{/pack}}{{#topup}} für Ihr Guthaben{{/topup}} erhalten.\n",
    },
  },
};

/** The languages that a kind comes in; none of a kind that does not come with the house. */
export function builtInLanguages(kind: string): string[] {
  return Object.hasOwn(texts, kind) ? Object.keys(texts[kind] ?? {}).toSorted() : [];
}

/** What comes with the house in a language (`de`, `de-AT`), else in English. */
export function builtIn(kind: string, language: string): (Text & { language: string }) | undefined {
  if (!Object.hasOwn(texts, kind)) return undefined;
  const base = language.split("-")[0] ?? "";
  const spoken = Object.hasOwn(texts[kind] ?? {}, base) ? base : "en";
  const text = texts[kind]?.[spoken];
  return text === undefined ? undefined : { ...text, language: spoken };
}
