import { z } from 'zod';

import { isJsonObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { initialTwin } from './enrollment-body.ts';
import type { EnrollmentGroup, IndividualEnrollment, InitialTwin } from './enrollment.ts';
import { payloadFault } from './json-bounds.ts';

/** What a custom allocation webhook is asked: AllocationRequest (dps.md 3.6). Its query string is masked, and no key is in it. */
export interface AllocationRequest {
  readonly individualEnrollment?: IndividualEnrollment;
  readonly enrollmentGroup?: EnrollmentGroup;
  readonly deviceRuntimeContext: DeviceRuntimeContext;
  /** Host names; the webhook must choose one of them. */
  readonly linkedHubs: readonly string[];
}

/** Exactly one of `x509`, `symmetricKey` and `tpm` is present. */
export interface DeviceRuntimeContext {
  readonly registrationId: string;
  readonly currentIotHubHostName?: string;
  readonly currentDeviceId?: string;
  /** The leaf, base64 DER. */
  readonly x509?: { readonly clientCertificate: string };
  readonly symmetricKey?: JsonObject;
  readonly tpm?: { readonly endorsementKey: string; readonly storageRootKey?: string };
  readonly payload?: Json;
}

/** What it answers: AllocationResponse. */
export interface AllocationResponse {
  readonly iotHubHostName: string;
  readonly initialTwin?: InitialTwin;
  readonly payload?: JsonObject;
}

export type AllocationAnswer =
  | { readonly ok: true; readonly response: AllocationResponse }
  /** `fault` is a sentence that names the member. */
  | { readonly ok: false; readonly fault: string };

const allocationResponse = z.object({
  iothubhostname: z.string().nullish(),
  initialtwin: initialTwin.nullish(),
  payload: z
    .custom<JsonObject>()
    .superRefine((value: Json, context) => {
      const fault = isJsonObject(value) ? payloadFault(value) : 'it must be a JSON object.';
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
    })
    .nullish(),
});

/** Reads the answer of a webhook. Azure's own pages spell the members with different cases, so they are matched without. */
export function readAllocationResponse(text: string): AllocationAnswer {
  const json = parse(text);
  if (!isJsonObject(json)) return { ok: false, fault: 'The answer is not a JSON object.' };
  const lowered = Object.fromEntries(Object.entries(json).map(([name, value]) => [name.toLowerCase(), value]));
  const result = allocationResponse.safeParse(lowered);
  if (!result.success) {
    const [issue] = result.error.issues;
    return { ok: false, fault: `${issue?.path.map(String).join('.') ?? 'A member'} is not valid: ${issue?.message ?? 'check it.'}` };
  }
  const { iothubhostname, initialtwin, payload } = result.data;
  if (!iothubhostname) return { ok: false, fault: 'The answer names no IoT hub: iotHubHostName is missing or empty.' };
  return {
    ok: true,
    response: {
      iotHubHostName: iothubhostname,
      ...(initialtwin === null || initialtwin === undefined ? {} : { initialTwin: initialtwin }),
      ...(payload === null || payload === undefined ? {} : { payload }),
    },
  };
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
