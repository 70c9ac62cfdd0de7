/** What Stripe says in the `error` of an answer that is not a success. */
export interface StripeError {
  type: "api_error" | "card_error" | "idempotency_error" | "invalid_request_error";
  message: string;
  code?: string;
  decline_code?: string;
  param?: string;
}

/** A refusal: nothing was changed, and this is answered. */
export class Failure extends Error {
  readonly status: number;
  readonly error: StripeError;

  constructor(status: number, error: StripeError) {
    super(error.message);
    this.status = status;
    this.error = error;
  }
}

/** 400: the request cannot be right, whatever the state. */
export function invalid(message: string, param?: string, code?: string): Failure {
  return new Failure(400, {
    type: "invalid_request_error",
    message,
    ...(code === undefined ? {} : { code }),
    ...(param === undefined ? {} : { param }),
  });
}

/** No such object: 404 when the path names it, 400 when a parameter does. */
export function missing(what: string, id: string, param = "id"): Failure {
  return new Failure(param === "id" ? 404 : 400, {
    type: "invalid_request_error",
    code: "resource_missing",
    message: `No such ${what}: '${id}'`,
    param,
  });
}

/** 402: the bank said no. */
export function declined(): Failure {
  return new Failure(402, {
    type: "card_error",
    code: "card_declined",
    decline_code: "generic_decline",
    message: "Your card was declined.",
  });
}
