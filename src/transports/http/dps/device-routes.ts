import { apiVersionRule } from '../../../contracts/api-version.ts';
import { readRegisterBody } from '../../../contracts/dps/register-body.ts';
import { limits } from '../../../contracts/limits.ts';
import type { Provisioning, RegisterRequest, RegistrationAnswer, TpmAnswer } from '../../../provisioning/service.ts';
import { requireQuery } from '../engine/query-parameter.ts';
import type { HttpAnswer, HttpRequest, RouteGroup } from '../engine/route.ts';
import { renderDpsError } from '../errors.ts';
import { ServiceError } from '../../../kernel/service-error.ts';

/** An answer without a word on it would make clients poll at their own pace. */
const defaultRetrySeconds = 3;

export type DpsDeviceDeps = Pick<Provisioning, 'registrations' | 'tpmChallenges'>;

/** The device API over HTTPS (dps.md 1.4). `forceRegistration` and `Content-Encoding` are ignored. */
export function createDpsDeviceRoutes({ registrations, tpmChallenges }: DpsDeviceDeps): RouteGroup {
  return {
    owns: (path) => /^\/[^/]+\/registrations(?:\/|$)/iu.test(path),
    renderError: renderDpsError,
    routes: [
      {
        method: 'PUT',
        path: '/:idScope/registrations/:registrationId/register',
        handle: async (request) => {
          const device = { ...readDevice(request), ...(await readBody(request)) };
          if (bringsOnlyTpm(device)) return renderChallenge(await tpmChallenges.challenge(device));
          return renderRegistration(await registrations.register(device), registerLocation(request));
        },
      },
      {
        // Node sends a body of two bytes with this GET; nobody reads it.
        method: 'GET',
        path: '/:idScope/registrations/:registrationId/operations/:operationId',
        handle: async (request) => {
          const operationId = request.params['operationId'] ?? '';
          return renderRegistration(await registrations.operationStatus({ ...readDevice(request), operationId }), {});
        },
      },
      {
        method: 'POST',
        path: '/:idScope/registrations/:registrationId',
        handle: async (request) => {
          const device = readDevice(request);
          const body = await readBody(request);
          if (typeof body.body === 'object' && body.body !== null && 'csr' in body.body) {
            throw new ServiceError('DpsBadRequest', 'A certificate signing request cannot be sent with a lookup.');
          }
          return { status: 200, body: await registrations.lookup({ ...device, ...body }) };
        },
      },
    ],
  };
}

function readDevice(request: HttpRequest) {
  const apiVersion = requireQuery(request, apiVersionRule, 'DpsBadRequest');
  const sasToken = request.header('authorization');
  const { certificates, remoteAddress, serverName } = request.peer;
  return {
    idScope: request.params['idScope'] ?? '',
    registrationId: request.params['registrationId'] ?? '',
    apiVersion,
    credentials: { certificates: [...certificates], ...(sasToken === undefined ? {} : { sasToken }) },
    peer: { transport: 'https' as const, remoteAddress, ...(serverName === undefined ? {} : { serverName }) },
  };
}

async function readBody(request: HttpRequest) {
  const body = await request.readJson(limits.dpsMessageBytes);
  return body === undefined ? {} : { body };
}

/** A device with a TPM registers twice: first with its public keys, then with a token (dps.md 2.6). */
function bringsOnlyTpm({ credentials, body }: RegisterRequest): boolean {
  const [leaf] = credentials.certificates;
  return credentials.sasToken === undefined && leaf === undefined && readRegisterBody(body).tpm !== undefined;
}

/** The one 401 that is no error: its body has no code, and no status, by which C tells it from a refusal (dps.md 1.4.3). */
function renderChallenge(answer: TpmAnswer): HttpAnswer {
  if (answer.kind === 'disabled') return { status: 200, body: answer.body };
  const { trackingId, authenticationKey, keyName } = answer;
  const message = 'Authorization required: sign a token with the key that is sealed for the TPM.';
  return { status: 401, headers: { 'x-ms-request-id': trackingId }, body: { message, authenticationKey, keyName, trackingId } };
}

/**
 * 202 while assigning, 200 once it has ended: IoT Edge takes nothing else (dps.md 1.3). The request id is the one under
 * which the reasons are kept, since it is what devices log.
 */
function renderRegistration(answer: RegistrationAnswer, headers: Readonly<Record<string, string>>): HttpAnswer {
  const { trackingId } = answer;
  const traced = trackingId === undefined ? {} : { 'x-ms-request-id': trackingId };
  const { retryAfterSeconds } = answer;
  const hint = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  if (!answer.pending) return { status: 200, headers: { ...traced, ...hint }, body: answer.body };
  const retryAfter = String(retryAfterSeconds ?? defaultRetrySeconds);
  return { status: 202, headers: { ...headers, ...traced, 'retry-after': retryAfter }, body: answer.body };
}

function registerLocation(request: HttpRequest) {
  const path = request.path.split('/').map(encodeURIComponent).join('/');
  return { location: `https://${request.host}${path}` };
}
