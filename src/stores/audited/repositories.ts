import type { Change } from '../../audit/change.ts';
import type { SqlRepositories } from '../sql/repositories.ts';
import { blockPlan, driftPlan, eventPlan, receiptPlan, refusalPlan, runPlan, tokenPlan, tripwirePlan } from './fleet-plans.ts';
import {
  devicePlan,
  feedbackPlan,
  hubDecisionPlan,
  hubPlan,
  presencePlan,
  queuePlan,
  subscriptionPlan,
  telemetryPlan,
  twinPlan,
} from './hub-plans.ts';
import { audited, type Plan } from './plan.ts';
import {
  caCertificatePlan,
  decisionPlan,
  enrollmentPlan,
  instancePlan,
  type Mask,
  presentedPlan,
  registrationPlan,
  tpmPlan,
} from './provisioning-plans.ts';

/** Everything that can be written, the trail aside. */
export type AuditedPorts = Omit<SqlRepositories, 'audit'>;

/** What is recorded of each operation of each port: the one place that says so. */
export type Plans = { readonly [Port in keyof AuditedPorts]: Plan<AuditedPorts[Port]> };

export function createPlans(mask: Mask): Plans {
  return {
    enrollments: enrollmentPlan(mask),
    registrations: registrationPlan,
    caCertificates: caCertificatePlan(mask),
    instances: instancePlan(mask),
    decisions: decisionPlan,
    tpm: tpmPlan,
    presented: presentedPlan,
    hubs: hubPlan(mask),
    devices: devicePlan(mask),
    twins: twinPlan,
    telemetry: telemetryPlan,
    hubDecisions: hubDecisionPlan,
    queues: queuePlan,
    feedback: feedbackPlan,
    subscriptions: subscriptionPlan,
    presence: presencePlan,
    blocks: blockPlan,
    receipts: receiptPlan,
    runs: runPlan,
    drift: driftPlan,
    tokens: tokenPlan,
    refusals: refusalPlan,
    events: eventPlan,
    tripwires: tripwirePlan,
  };
}

/** The repositories of a transaction, such that every change of theirs is recorded. The trail itself is left out. */
export function auditRepositories(repositories: AuditedPorts, plans: Plans, record: (change: Change) => void): AuditedPorts {
  const wrap = <Name extends keyof AuditedPorts>(name: Name): AuditedPorts[Name] => audited(repositories[name], plans[name], record);
  const names = Object.keys(plans) as (keyof AuditedPorts)[];
  return Object.fromEntries(names.map((name) => [name, wrap(name)])) as unknown as AuditedPorts;
}
