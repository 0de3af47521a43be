// Events of your feed and your answers, as `contracts/schemas/*.json` describe them.
// A later minor version may add fields, values and types: what is not known here is skipped.

export interface CloudEvent<T = Record<string, unknown>> {
  specversion: "1.0";
  id: string;
  source: string;
  type: string;
  time: string;
  subject: string;
  data: T;
}

export interface Situation {
  sector: string;
  reporter: string;
  kind: string;
  subject: string;
  accused?: string;
  flags?: string[];
}

export interface ReferralOffer {
  referral_id: string;
  attempt: number;
  case_id: string;
  reference: string;
  organisation: string;
  loket?: string | null;
  kind: string;
  urgency: string;
  situation: Situation;
  content: string[];
  first_received_at: string;
  received_by: string;
  accepted_by: string;
  signal?: boolean;
}

export interface ReferralWithdrawn {
  referral_id: string;
  attempt: number;
  case_id: string;
  organisation: string;
  status: string;
  at: string;
}

export type AnswerKind = "received" | "accepted" | "rejected" | "in-progress" | "completed";

/** The body of `POST /v1/referrals/{referralId}/answers`. */
export interface Answer {
  answerId: string;
  attempt: number;
  answer: AnswerKind;
  reason?: string;
  outcome?: string;
}

const PREFIX = "nl.sociale-veiligheid.meldingen.";

export function isOffer(event: CloudEvent): event is CloudEvent<ReferralOffer & Record<string, unknown>> {
  return event.type === `${PREFIX}referral-offer.v1`;
}

export function isWithdrawn(event: CloudEvent): event is CloudEvent<ReferralWithdrawn & Record<string, unknown>> {
  return event.type === `${PREFIX}referral-withdrawn.v1`;
}
