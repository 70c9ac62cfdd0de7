import type Stripe from "stripe";
import type { Account } from "../account.ts";
import { cancel, hasEnded } from "../billing/ending.ts";
import { firstItem } from "../billing/lifecycle.ts";
import { applyPhase, currentPhase, governed, release } from "../billing/phases.ts";
import { quantityOf, recurringPrice } from "../billing/subscription-shape.ts";
import { boundary } from "../calendar.ts";
import { invalid } from "../failure.ts";
import { idOf, newId } from "../ids.ts";
import { page } from "../list.ts";
import type { Params } from "../params.ts";
import { paging } from "../route.ts";
import type { Call, Route } from "../route.ts";

type Schedule = Stripe.SubscriptionSchedule;
type Phase = Stripe.SubscriptionSchedule.Phase;

const endBehaviors = ["release", "cancel"] as const;
const prorations = ["none", "create_prorations", "always_invoice"] as const;

const scheduleOf = ({ account, path }: Call): Schedule =>
  account.find(account.state.schedules, "subscription_schedule", path["id"] ?? "");

/** A schedule that still runs. */
function activeOf(call: Call): Schedule {
  const schedule = scheduleOf(call);
  if (schedule.status !== "active") {
    throw invalid(
      `You cannot update a subscription schedule that is currently in the \`${schedule.status}\` status.`,
      "id",
    );
  }
  return schedule;
}

function phaseShape(wish: Pick<Phase, "currency" | "items" | "start_date" | "end_date"> & Partial<Phase>): Phase {
  return {
    add_invoice_items: [],
    application_fee_percent: null,
    billing_cycle_anchor: null,
    billing_thresholds: null,
    collection_method: null,
    default_payment_method: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    invoice_settings: null,
    metadata: {},
    on_behalf_of: null,
    proration_behavior: "create_prorations",
    transfer_data: null,
    trial_end: null,
    ...wish,
  };
}

function itemShape(price: string, quantity: number): Phase["items"][number] {
  return { billing_thresholds: null, discounts: [], metadata: {}, plan: price, price, quantity, tax_rates: [] };
}

/** A schedule of one phase: the subscription as it is, to the end of its period. */
function createSchedule({ account, params }: Call): Schedule {
  const id = params.required("from_subscription");
  const subscription = account.find(account.state.subscriptions, "subscription", id, "from_subscription");
  if (hasEnded(subscription) || subscription.schedule !== null) {
    throw invalid(
      subscription.schedule === null
        ? "You cannot migrate a subscription that is already in the `canceled` status."
        : "You cannot migrate a subscription that is already attached to a schedule.",
      "from_subscription",
    );
  }
  const { current_period_start: start, current_period_end: end } = firstItem(subscription);
  const schedule: Schedule = {
    id: newId("sub_sched"),
    object: "subscription_schedule",
    application: null,
    billing_mode: subscription.billing_mode,
    canceled_at: null,
    completed_at: null,
    created: account.seconds(),
    current_phase: { start_date: start, end_date: end },
    customer: subscription.customer,
    customer_account: null,
    default_settings: {
      application_fee_percent: null,
      billing_cycle_anchor: "automatic",
      billing_thresholds: null,
      collection_method: "charge_automatically",
      default_payment_method: null,
      description: null,
      invoice_settings: {
        account_tax_ids: null,
        custom_fields: null,
        days_until_due: null,
        description: null,
        footer: null,
        issuer: { type: "self" },
      },
      on_behalf_of: null,
      transfer_data: null,
    },
    // A subscription that is to end with its period ends with its schedule.
    end_behavior: subscription.cancel_at_period_end ? "cancel" : "release",
    livemode: false,
    metadata: {},
    pause_schedules: [],
    phases: [
      phaseShape({
        currency: subscription.currency,
        items: subscription.items.data.map(({ price, quantity }) => itemShape(price.id, quantity ?? 1)),
        start_date: start,
        end_date: end,
        trial_end: subscription.status === "trialing" ? subscription.trial_end : null,
      }),
    ],
    released_at: null,
    released_subscription: null,
    status: "active",
    subscription: subscription.id,
    test_clock: null,
  };
  account.state.schedules.set(schedule.id, schedule);
  account.emit("subscription_schedule.created", schedule);
  account.change("customer.subscription.updated", subscription, () => {
    subscription.schedule = schedule.id;
  });
  return schedule;
}

/** The phases of a call, each beginning where the one before ends. The first is the one that runs. */
function phasesOf(account: Account, schedule: Schedule, wishes: Params[]): Phase[] {
  const phases: Phase[] = [];
  for (const wish of wishes) {
    const previous = phases.at(-1);
    const start = previous?.end_date ?? schedule.current_phase?.start_date ?? account.seconds();
    const given = wish.text("start_date");
    if (given === undefined ? previous === undefined : given !== "now" && Number(given) !== start) {
      throw invalid(
        previous === undefined
          ? "You can not modify the start date of the current phase."
          : "The start date of a phase must be the end date of the phase before.",
        wish.nameOf("start_date"),
      );
    }
    phases.push(phaseOf(account, wish, start));
  }
  return phases;
}

function phaseOf(account: Account, wish: Params, start: number): Phase {
  const items = wish.each("items").map((item) => {
    const price = recurringPrice(account, item.required("price"), item.nameOf("price"));
    return { price, shape: itemShape(price.id, quantityOf(item)) };
  });
  const [first] = items;
  if (first?.price.recurring == null) {
    throw invalid("Missing required param: items.", wish.nameOf("items"), "parameter_missing");
  }
  const duration = wish.inside("duration");
  const length =
    duration === undefined
      ? first.price.recurring
      : { interval: duration.required("interval"), interval_count: duration.integer("interval_count") ?? 1 };
  const end = wish.integer("end_date") ?? boundary(start, length, 1);
  if (end <= start) {
    throw invalid("The end date of a phase must be after its start date.", wish.nameOf("end_date"));
  }
  return phaseShape({
    currency: first.price.currency,
    items: items.map(({ shape }) => shape),
    start_date: start,
    end_date: end,
    metadata: wish.metadata("metadata"),
    trial_end: wish.integer("trial_end") ?? null,
    proration_behavior: wish.one("proration_behavior", prorations) ?? "create_prorations",
  });
}

function updateSchedule(call: Call): Schedule {
  const { account, params } = call;
  const schedule = activeOf(call);
  const phases = params.has("phases") ? phasesOf(account, schedule, params.each("phases")) : undefined;
  const running = phases?.find(({ start_date: start }) => start === schedule.current_phase?.start_date);
  if (phases !== undefined && running !== undefined && running.end_date < account.seconds()) {
    throw invalid("The end date of the current phase must be in the future.", "phases[0][end_date]");
  }
  account.change("subscription_schedule.updated", schedule, () => {
    schedule.end_behavior = params.one("end_behavior", endBehaviors) ?? schedule.end_behavior;
    schedule.metadata = params.metadata("metadata", schedule.metadata);
    if (phases !== undefined && running !== undefined) {
      schedule.phases = phases;
      schedule.current_phase = { start_date: running.start_date, end_date: running.end_date };
    }
  });
  const [subscription, phase] = [governed(account, schedule), currentPhase(schedule)];
  if (phases !== undefined && subscription !== null && phase !== undefined) {
    const proration = params.one("proration_behavior", prorations) ?? "create_prorations";
    applyPhase(account, subscription, { ...phase, proration_behavior: proration });
  }
  return schedule;
}

export const subscriptionSchedules: Route[] = [
  {
    method: "POST",
    path: "/v1/subscription_schedules",
    takes: "from_subscription",
    run: createSchedule,
  },
  { method: "GET", path: "/v1/subscription_schedules/:id", takes: "", run: scheduleOf },
  {
    method: "POST",
    path: "/v1/subscription_schedules/:id",
    takes: "phases end_behavior metadata proration_behavior",
    run: updateSchedule,
  },
  {
    method: "POST",
    path: "/v1/subscription_schedules/:id/release",
    takes: "",
    run(call) {
      const schedule = activeOf(call);
      release(call.account, schedule);
      return schedule;
    },
  },
  {
    method: "POST",
    path: "/v1/subscription_schedules/:id/cancel",
    takes: "",
    run(call) {
      const schedule = activeOf(call);
      const subscription = governed(call.account, schedule);
      if (subscription !== null) {
        // Stripe cancels the subscription with its schedule; that cancels the schedule too.
        cancel(call.account, subscription, "cancellation_requested");
      }
      return schedule;
    },
  },
  {
    method: "GET",
    path: "/v1/subscription_schedules",
    takes: `${paging} customer created`,
    run(call) {
      const customer = call.params.text("customer");
      const found = [...call.account.state.schedules.values()].filter(
        (schedule) => customer === undefined || idOf(schedule.customer) === customer,
      );
      return page(call, "/v1/subscription_schedules", found);
    },
  },
];
