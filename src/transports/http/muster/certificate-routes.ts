import { parseIfMatch } from '../../../kernel/precondition.ts';
import type { Provisioning } from '../../../provisioning/service.ts';
import type { HttpRequest } from '../engine/route.ts';
import { certificateBody, proofBody, readBody } from './bodies.ts';
import type { MusterRequest, MusterRoute } from './muster-route.ts';

const all = '/api/v1/dps/:name/certificates';
const one = `${all}/:cert`;

/** CA certificates of a provisioning service, up to proof of possession (dps.md 5.3). */
export function certificateRoutes(provisioning: Provisioning): readonly MusterRoute[] {
  return [...storageRoutes(provisioning), ...proofRoutes(provisioning)];
}

/** An unknown service is told apart from an unknown certificate. */
async function address({ instances }: Pick<Provisioning, 'instances'>, request: HttpRequest) {
  return {
    instance: (await instances.get(request.params['name'] ?? '')).name,
    cert: request.params['cert'] ?? '',
    precondition: parseIfMatch(request.header('if-match')),
  };
}

/** `?force=true`: although a disabled group refers to the certificate. */
const isForced = (request: MusterRequest): boolean => request.query('force') === 'true';

const changing = (provisioning: Provisioning, request: MusterRequest) => provisioning.as(request.cause).caCertificates;

function storageRoutes(provisioning: Provisioning): readonly MusterRoute[] {
  const { caCertificates } = provisioning;
  return [
    {
      method: 'GET',
      path: all,
      handle: async (request) => ({ status: 200, body: await caCertificates.list((await address(provisioning, request)).instance) }),
    },
    {
      method: 'GET',
      path: one,
      handle: async (request) => {
        const { instance, cert } = await address(provisioning, request);
        return { status: 200, body: await caCertificates.get(instance, cert) };
      },
    },
    {
      method: 'PUT',
      path: one,
      handle: async (request) => {
        const { instance, cert, precondition } = await address(provisioning, request);
        return {
          status: 200,
          body: await changing(provisioning, request).put(instance, cert, {
            ...(await readBody(request, certificateBody)),
            precondition,
            force: isForced(request),
          }),
        };
      },
    },
    {
      method: 'DELETE',
      path: one,
      handle: async (request) => {
        const { instance, cert, precondition } = await address(provisioning, request);
        await changing(provisioning, request).delete(instance, cert, { precondition, force: isForced(request) });
        return { status: 204 };
      },
    },
  ];
}

function proofRoutes(provisioning: Provisioning): readonly MusterRoute[] {
  return [
    {
      method: 'POST',
      path: `${one}/generate-verification-code`,
      handle: async (request) => {
        const { instance, cert, precondition } = await address(provisioning, request);
        return { status: 200, body: await changing(provisioning, request).generateVerificationCode(instance, cert, precondition) };
      },
    },
    {
      method: 'POST',
      path: `${one}/verify`,
      handle: async (request) => {
        const { instance, cert, precondition } = await address(provisioning, request);
        const proof = { ...(await readBody(request, proofBody)), precondition };
        return { status: 200, body: await changing(provisioning, request).verify(instance, cert, proof) };
      },
    },
  ];
}
