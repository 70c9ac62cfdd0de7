/** The operator's account at Stripe. */
export interface StripeAccount {
  readonly secret_key: string;
  /** Whether the key moves real money: what comes from the other mode is not ours. */
  readonly live: boolean;
  /** Those that an event may be signed with: two while one is rolled, none where none was configured. */
  readonly webhook_secrets: readonly string[];
  /** Where Stripe is, on the local stack only; null: where Stripe is. */
  readonly api_base: string | null;
}

/** The operator's store at a BTCPay Server. */
export interface BtcpayAccount {
  /** Without a slash at its end. */
  readonly url: string;
  readonly api_key: string;
  readonly store_id: string;
  /** As Stripe's. */
  readonly webhook_secrets: readonly string[];
}

/** Who sends mail to the operator's customers: an account at Resend, https://resend.com/docs/api-reference. */
export interface MailAccount {
  readonly api_key: string;
  /** `Acme <hello@acme.example>`, or the address alone. */
  readonly from: string;
  /** Where Resend is, on the local stack only; null: where Resend is. */
  readonly api_base: string | null;
}

/** The operator's bot: https://core.telegram.org/bots/api. */
export interface TelegramAccount {
  readonly token: string;
  /** Where the Bot API is, on the local stack only; null: where it is. */
  readonly api_base: string | null;
}
