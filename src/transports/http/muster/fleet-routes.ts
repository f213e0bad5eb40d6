import type { Block } from '../../../blocks/block.ts';
import type { RunItem } from '../../../fleet/ports.ts';
import type { DeprovisionTerms, Fleet, RunDescription } from '../../../fleet/service.ts';
import { readmissionGuard } from '../readmission-guard.ts';
import { readBody } from './bodies.ts';
import { blockBody, deprovisionBody, explainBody, reinstateBody, runBody } from './fleet-bodies.ts';
import type { MusterRoute } from './muster-route.ts';
import { readPage } from './read-query.ts';

/** What is done to devices over both domains, and why things are as they are. */
export function fleetRoutes(fleet: Fleet): readonly MusterRoute[] {
  return [...deviceRoutes(fleet), ...receiptRoutes(fleet), ...blockRoutes(fleet), ...runRoutes(fleet)];
}

function deviceRoutes(fleet: Fleet): readonly MusterRoute[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/deprovision',
      handle: async (request) => {
        const { device, dryRun, evenIfUnknown, ...terms } = await readBody(request, deprovisionBody);
        const wanted = { ...readTerms(terms), device, dryRun, evenIfUnknown };
        return { status: 200, body: await fleet.deprovision(wanted, request.cause) };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/reinstate',
      handle: async (request) => {
        const { reason, onceUntil, ...body } = await readBody(request, reinstateBody);
        const wanted = { ...body, ...(reason === undefined ? {} : { reason }), ...(onceUntil === undefined ? {} : { onceUntil }) };
        return { status: 200, body: await fleet.reinstate(wanted, request.cause) };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/explain',
      handle: async (request) => {
        const { subject, instance, registrationId, at } = await readBody(request, explainBody);
        const wanted = {
          subject,
          ...(instance === undefined ? {} : { instance }),
          ...(registrationId === undefined ? {} : { registrationId }),
          ...(at === undefined ? {} : { asOf: at }),
        };
        return { status: 200, body: await fleet.explain(wanted) };
      },
    },
  ];
}

function receiptRoutes({ receipts }: Fleet): readonly MusterRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/receipts',
      handle: async (request) => {
        const device = request.query('device');
        const { limit } = readPage(request);
        return { status: 200, body: await receipts.list({ limit, ...(device ? { device } : {}) }) };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/receipts/:id',
      handle: async (request) => ({ status: 200, body: await receipts.get(request.params['id'] ?? '') }),
    },
  ];
}

function blockRoutes({ blocks }: Fleet): readonly MusterRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/blocks',
      handle: async (request) => {
        const { items, next } = await blocks.list(readPage(request));
        return { status: 200, body: { items: items.map(renderBlock), ...(next === undefined ? {} : { next }) } };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/blocks',
      handle: async (request) => {
        const { certificate, by, ticket, expiresAt, ...body } = await readBody(request, blockBody);
        const wanted = {
          ...body,
          ...(certificate === undefined ? {} : { certificate }),
          ...(by === undefined ? {} : { by }),
          ...(ticket === undefined ? {} : { ticket }),
          ...(expiresAt === undefined ? {} : { expiresAt }),
        };
        return { status: 200, body: renderBlock(await blocks.create(wanted, request.cause)) };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/blocks/:id',
      handle: async (request) => ({ status: 200, body: renderBlock(await blocks.get(request.params['id'] ?? '')) }),
    },
    {
      method: 'DELETE',
      path: '/api/v1/blocks/:id',
      handle: async (request) => {
        const guard = readmissionGuard(request);
        await blocks.lift(request.params['id'] ?? '', request.cause, guard);
        return { status: 204, headers: guard.headers() };
      },
    },
  ];
}

function runRoutes({ runs }: Fleet): readonly MusterRoute[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/runs',
      handle: async (request) => {
        const { devices, group, query, instance, dryRun, ...terms } = await readBody(request, runBody);
        const within = instance === undefined ? {} : { instance };
        const targets =
          devices !== undefined ? { devices } : query !== undefined ? { query, ...within } : { group: group ?? '', ...within };
        return { status: 202, body: renderRun(await runs.start(targets, { ...readTerms(terms), dryRun }, request.cause)) };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/runs',
      handle: async (request) => ({ status: 200, body: (await runs.list(readPage(request).limit)).map(renderRun) }),
    },
    {
      method: 'GET',
      path: '/api/v1/runs/:id',
      handle: async (request) => ({ status: 200, body: renderRun(await runs.get(request.params['id'] ?? '')) }),
    },
    {
      method: 'GET',
      path: '/api/v1/runs/:id/items',
      handle: async (request) => {
        const { items, next } = await runs.items(request.params['id'] ?? '', readPage(request));
        return { status: 200, body: { items: items.map(renderItem), ...(next === undefined ? {} : { next }) } };
      },
    },
  ];
}

type Optional<T> = { readonly [K in keyof T]: T[K] | undefined };

function readTerms({
  by,
  ticket,
  expiresAt,
  ...rest
}: Optional<Pick<DeprovisionTerms, 'by' | 'ticket' | 'expiresAt'>> &
  Omit<DeprovisionTerms, 'by' | 'ticket' | 'expiresAt'>): DeprovisionTerms {
  return {
    ...rest,
    ...(by === undefined ? {} : { by }),
    ...(ticket === undefined ? {} : { ticket }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

function renderBlock({ selectors, createdAt, expiresAt, readmission, endNotedAt: _noted, ...block }: Block): object {
  return {
    ...block,
    selectors: selectors.map(({ kind, value }) => ({ kind, value })),
    createdAt: new Date(createdAt).toISOString(),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
    ...(readmission === undefined
      ? {}
      : {
          readmission: {
            until: new Date(readmission.until).toISOString(),
            ...(readmission.usedAt === undefined ? {} : { usedAt: new Date(readmission.usedAt).toISOString() }),
          },
        }),
  };
}

function renderRun({ createdAt, finishedAt, ...run }: RunDescription): object {
  return {
    ...run,
    createdAt: new Date(createdAt).toISOString(),
    ...(finishedAt === undefined ? {} : { finishedAt: new Date(finishedAt).toISOString() }),
  };
}

/** A target may be a whole certificate; its first line is enough to know it by. */
function renderItem({ run: _run, target, ...item }: RunItem): object {
  return { ...item, target: target.split('\n')[0]?.slice(0, 200) ?? '' };
}
