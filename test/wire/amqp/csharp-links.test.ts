import { afterEach, beforeEach, expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import {
  amqpHeader,
  entries,
  errorOf,
  RawPeer,
  type RawFrame,
  rheaMessage,
  sections,
  source,
  target,
  type Typed,
  until,
} from './raw-peer.ts';
import { wrap } from './client.ts';
import { hubHost, leafOf, openService, type TestService } from './service.ts';

/** The frames around the messages of a C# DeviceClient: OPEN to CLOSE, all of its links, their pairs, their order (hub chapter 4.4, 4.11). */

let service: TestService;
let peer: RawPeer;
beforeEach(async () => {
  service = await openService();
  await service.addDevice(deviceId, leaf);
  peer = new RawPeer(service.dial({ certificate: leaf, serverName: hubHost }));
  peer.write(amqpHeader);
  peer.send('open', { container_id: 'a GUID', hostname: hubHost, max_frame_size: 65536, idle_time_out: 120000 });
  peer.send('begin', { next_outgoing_id: 0, incoming_window: 2048, outgoing_window: 2048, properties: {} });
  await peer.next('begin');
});
afterEach(async () => await service.close());

const deviceId = 'sensor-thl-002';
const leaf = leafOf(deviceId);
const root = `amqps://${hubHost}:5671/devices/${deviceId}`;
const guid = '4f7ad9d8-9ed4-4d35-a8a9-1be04c34e9f7';

interface LinkForm {
  readonly role: boolean;
  readonly path: string;
  readonly modes?: readonly [number, number];
  readonly rcv?: number;
  readonly pair?: string;
}

/** Every link of the table in chapter 4.4; `role` is true where the device receives. */
const links = {
  TelemetrySenderLink: { role: false, path: '/messages/events' },
  TelemetryReceiverLink: { role: true, path: '/messages/deviceBound', rcv: 1 },
  MethodsSenderLink: { role: false, path: '/methods/deviceBound', modes: [1, 0], pair: `methods:${guid}` },
  MethodsReceiverLink: { role: true, path: '/methods/deviceBound', modes: [1, 0], pair: `methods:${guid}` },
  TwinSenderLink: { role: false, path: '/twin', modes: [1, 0], pair: `twin:${guid}` },
  TwinReceiverLink: { role: true, path: '/twin', modes: [1, 0], pair: `twin:${guid}` },
} as const satisfies Record<string, LinkForm>;
type LinkName = keyof typeof links;

const typed = (value: Typed | undefined) => (value?.value == null ? undefined : [value.type.name, value.value]);
const addressOf = (terminus: Typed | undefined): string | undefined => terminus?.value?.[0]?.value;

function attach(name: LinkName, handle: number, { pair, base = root }: { readonly pair?: string; readonly base?: string } = {}): void {
  const form: LinkForm = links[name];
  const [ours, theirs] = [deviceId, `${base}${form.path}`];
  const correlation = pair ?? form.pair;
  peer.send('attach', {
    name,
    handle,
    role: form.role,
    ...(form.role ? {} : { initial_delivery_count: 0 }),
    ...(form.modes === undefined ? {} : { snd_settle_mode: form.modes[0], rcv_settle_mode: form.modes[1] }),
    ...(form.rcv === undefined ? {} : { rcv_settle_mode: form.rcv }),
    source: source(form.role ? theirs : ours),
    target: target(form.role ? ours : theirs),
    properties: {
      'com.microsoft:client-version': wrap.wrap_string('.NET/1.42.3 (.NET 8.0; Linux)'),
      'com.microsoft:api-version': wrap.wrap_string('2020-09-30'),
      ...(form.role ? {} : { 'com.microsoft:model-id': 'dtmi:com:example:Thermostat;1' }),
      ...(correlation === undefined ? {} : { 'com.microsoft:channel-correlation-id': correlation }),
    },
  });
  if (form.role) credit(handle);
}

const credit = (handle: number): void =>
  peer.send('flow', {
    next_incoming_id: 0,
    incoming_window: 2048,
    next_outgoing_id: 0,
    outgoing_window: 2048,
    handle,
    delivery_count: 0,
    link_credit: 50,
  });

/** The attach that answers a link of this name. */
async function answered(name: string, count = 1): Promise<RawFrame['fields']> {
  const all = () => peer.named('attach').filter(({ fields }) => fields[0]?.value === name);
  await until(() => all().length >= count, `the answer to ${name}`);
  return all()[count - 1]?.fields ?? [];
}

const read = ({ fields, payload }: RawFrame) => {
  const parts = sections(payload);
  return {
    handle: fields[0]?.value,
    correlation: typed(parts.get(0x73)?.value[5]),
    status: typed(entries(parts.get(0x72)).get('status')),
    resource: typed(entries(parts.get(0x72)).get('resource')),
    body: parts.get(0x75)?.value.toString(),
  };
};

const put = (correlation: string) => ({
  correlation_id: correlation,
  message_annotations: { operation: 'PUT', resource: '/notifications/twin/properties/desired', version: null },
});

test('no SASL layer: the header comes back, then OPEN and BEGIN, each field in its type', async () => {
  expect(peer.headers).toEqual([amqpHeader]);
  expect(peer.frames.map(({ name }) => name)).toEqual(['open', 'begin']);
  const open = (await peer.next('open')).fields;
  expect(open[0]?.value).toMatch(/^DeviceGateway_[0-9a-f]{32}$/u);
  expect([open[0]?.type.name, open.slice(1, 5).map(typed)]).toEqual([
    'Str8',
    [
      ['Str8', hubHost],
      ['Uint', 65_536],
      ['Ushort', 1023],
      ['Uint', 240_000],
    ],
  ]);
  const begin = (await peer.next('begin')).fields;
  // Of channel 0, and with more windows and handles than C# asks for.
  expect([typed(begin[0]), typed(begin[4])]).toEqual([
    ['Ushort', 0],
    ['SmallUint', 31],
  ]);
  expect([begin[2]?.value, begin[3]?.value]).toEqual([2048, 0xff_ff_ff_ff]);
});

test.each([['as C# lists them', Object.keys(links)] as const, ['the other way round', Object.keys(links).toReversed()] as const])(
  'all links at once, %s: each is answered with its name, its modes, both termini, and counts or credit',
  async (_, names) => {
    for (const [handle, name] of names.entries()) attach(name as LinkName, handle);
    for (const name of names) {
      const form: LinkForm = links[name as LinkName];
      const fields = await answered(name);
      const [ours, theirs] = [deviceId, `${root}${form.path}`];
      expect([fields[2]?.value, addressOf(fields[5]), addressOf(fields[6])], name).toEqual([
        !form.role,
        form.role ? theirs : ours,
        form.role ? ours : theirs,
      ]);
      // C# goes on with the modes of this answer; without any it keeps those of AMQP: mixed, and first.
      expect([typed(fields[3]), typed(fields[4])], name).toEqual([
        form.modes === undefined ? undefined : ['Ubyte', form.modes[0]],
        form.modes === undefined ? (form.rcv === undefined ? undefined : ['Ubyte', form.rcv]) : ['Ubyte', form.modes[1]],
      ]);
      // C# dereferences the count of whoever sends to it, and computes credit from none of a receiver.
      expect(typed(fields[9]), name).toEqual(form.role ? ['Uint0', 0] : undefined);
      expect(fields[10]?.type.name, name).toBe('Ulong');
      const granted = peer.named('flow').filter((flow) => flow.fields[4]?.value === fields[1]?.value);
      expect(granted.length > 0 && granted[0]?.fields[6]?.value >= 100, name).toBe(!form.role);
    }
    expect(peer.named('detach')).toEqual([]);
    expect((await service.hub.registry.get('hub-a', deviceId)).connectionState).toBe('Connected');
  },
);

test('the links of a module, its inputs among them', async () => {
  const moduleLeaf = leafOf(`${deviceId}/m1`);
  const thumbprint = { primaryThumbprint: moduleLeaf.certificate.sha256, secondaryThumbprint: null };
  const body = { deviceId, moduleId: 'm1', authentication: { type: 'selfSigned', x509Thumbprint: thumbprint } };
  await service.hub.modules.put('hub-a', `${deviceId}/m1`, { body, precondition: { kind: 'absent' } });
  peer = new RawPeer(service.dial({ certificate: moduleLeaf, serverName: hubHost }));
  await peer.open({ hostname: hubHost });
  const base = `${root}/modules/m1`;
  attach('TelemetrySenderLink', 0, { base });
  attach('MethodsReceiverLink', 1, { base });
  attach('MethodsSenderLink', 2, { base });
  attach('TwinReceiverLink', 3, { base });
  attach('TwinSenderLink', 4, { base });
  peer.send('attach', {
    name: 'EventsReceiverLink',
    handle: 5,
    role: true,
    rcv_settle_mode: 0,
    source: source(`${base}/messages/events`),
    target: target(deviceId),
  });
  const fields = await answered('EventsReceiverLink');
  expect([fields[2]?.value, addressOf(fields[5]), addressOf(fields[6]), typed(fields[9])]).toEqual([
    false,
    `${base}/messages/events`,
    deviceId,
    ['Uint0', 0],
  ]);
  expect(peer.named('attach')).toHaveLength(6);
  expect(peer.named('detach')).toEqual([]);
});

test('a second pair of twin links takes the place of the first, and is answered on the receiver of its own', async () => {
  for (const [at, pair] of ['twin:one', 'twin:two'].entries()) {
    attach('TwinSenderLink', 2 * at, { pair });
    attach('TwinReceiverLink', 2 * at + 1, { pair });
    await answered('TwinReceiverLink', at + 1);
  }
  const receivers = peer
    .named('attach')
    .filter(({ fields }) => fields[0]?.value === 'TwinReceiverLink')
    .map(({ fields }) => fields[1]?.value);
  expect(peer.named('detach').map(({ fields }) => errorOf(fields[2]).condition)).toEqual(['amqp:link:stolen', 'amqp:link:stolen']);
  peer.transfer(2, put('Put2'), true);
  expect(read(await peer.next('transfer'))).toMatchObject({ handle: receivers[1], correlation: ['Str8', 'Put2'], status: ['Int', 200] });
});

test('a request on a sender without a receiver of its pair is no answer to anybody else', async () => {
  attach('TwinReceiverLink', 0, { pair: 'twin:one' });
  attach('TwinSenderLink', 1, { pair: 'twin:two' });
  await answered('TwinSenderLink');
  const id = peer.transfer(1, put('Put1'));
  const { fields } = await peer.next('disposition');
  expect([fields[1]?.value, fields[3]?.value, fields[4]?.descriptor?.value]).toEqual([id, true, 0x25]);
  expect(peer.named('transfer')).toEqual([]);
});

test('a desired change: settled, a tag of 16 bytes, no correlation id, resource and version in their types, one data section', async () => {
  attach('TwinSenderLink', 0);
  attach('TwinReceiverLink', 1);
  await answered('TwinReceiverLink');
  peer.transfer(0, put('Put1'), true);
  await peer.next('transfer');
  const desired = { mode: 'eco' };
  await service.hub.twins.patch('hub-a', deviceId, { body: { properties: { desired } }, precondition: { kind: 'absent' } });
  const { fields, payload } = await peer.next('transfer', 2);
  const parts = sections(payload);
  expect([fields[2]?.type.name, fields[2]?.value.length, fields[3]?.value, fields[4]?.value]).toEqual(['Vbin8', 16, 0, true]);
  const properties = (parts.get(0x73)?.value ?? []) as readonly (Typed | null)[];
  expect([properties.every((field) => field?.value == null), parts.has(0x74), [...parts.keys()].at(-1)]).toEqual([true, false, 0x75]);
  const annotations = Object.fromEntries([...entries(parts.get(0x72))].map(([name, value]) => [name, typed(value)]));
  expect(annotations).toEqual({ resource: ['Str8', '/notifications/twin/properties/desired'], version: ['SmallLong', 2] });
  expect(JSON.parse(parts.get(0x75)?.value.toString())).toEqual({ mode: 'eco', $version: 2 });
});

test('a call, settled as it came, that the device settles all the same; the answer under its uuid, whatever the width of its status', async () => {
  attach('MethodsReceiverLink', 0);
  attach('MethodsSenderLink', 1);
  await answered('MethodsSenderLink');
  await answered('MethodsReceiverLink');
  for (const [at, status] of [wrap.wrap_int(200), wrap.wrap_int(-70_000), wrap.wrap_long(3)].entries()) {
    const calling = service.hub.methods.invoke('hub-a', deviceId, { methodName: 'reboot', payload: { at } });
    const { fields, payload } = await peer.next('transfer', at + 1);
    expect([fields[2]?.value.length, fields[4]?.value]).toEqual([16, true]);
    peer.send('disposition', { role: true, first: fields[1]?.value, settled: true, state: rheaMessage.accepted().described() });
    const correlation = sections(payload).get(0x73)?.value[5] as Typed;
    expect([correlation.type.name, correlation.value.length]).toEqual(['Uuid', 16]);
    // C# sends no body when the handler returned none.
    peer.transfer(1, { correlation_id: wrap.wrap_uuid(correlation.value), application_properties: { 'IoThub-status': status } }, true);
    expect(await calling).toMatchObject({ status: [200, -70_000, 3][at], payload: null });
  }
  expect(peer.named('detach')).toEqual([]);
});

test('telemetry under tags of 16 bytes: in pieces, several at once, and settled by a sender that wants no answer', async () => {
  attach('TelemetrySenderLink', 0);
  await answered('TelemetrySenderLink');
  const large = rheaMessage.encode({ message_id: 'm-0', body: rheaMessage.data_section(Buffer.alloc(100_000, 'x')) }) as Buffer;
  const tag = Buffer.from(guid.replaceAll('-', ''), 'hex');
  for (let at = 0; at < large.length; at += 60_000) {
    const more = at + 60_000 < large.length;
    const first = at === 0 ? { delivery_id: 0, delivery_tag: tag, message_format: 0, settled: false } : {};
    peer.send('transfer', { handle: 0, ...first, more }, { payload: large.subarray(at, at + 60_000) });
  }
  const piece = (id: number, settled: boolean) => {
    const payload = rheaMessage.encode({ message_id: `m-${id}`, body: rheaMessage.data_section(Buffer.from(`{"n":${id}}`)) });
    peer.send('transfer', { handle: 0, delivery_id: id, delivery_tag: Buffer.alloc(16, id), message_format: 0, settled }, { payload });
  };
  piece(1, false);
  piece(2, true);
  piece(3, false);
  const settledIds = () =>
    peer.named('disposition').flatMap(({ fields: [role, first, last, settled, state] }) => {
      expect([role?.value, settled?.value, state?.descriptor?.value]).toEqual([true, true, 0x24]);
      const count = (last?.value ?? first?.value) - first?.value + 1;
      return Array.from({ length: count }, (__, n) => first?.value + n);
    });
  await until(() => settledIds().includes(3), 'the last outcome');
  const rows = (await service.store.read.telemetry.read('hub-a', { after: 0, limit: 10 })).filter((row) => row.source === 'Telemetry');
  expect(rows.map((row) => [row.systemProperties['message-id'], row.body.length])).toEqual([
    ['m-0', 100_000],
    ['m-1', 7],
    ['m-2', 7],
    ['m-3', 7],
  ]);
  expect(settledIds().filter((id) => id !== 2)).toEqual([0, 1, 3]);
});

test('idle: empty frames of eight bytes every 60 seconds, half of what C# announced', async () => {
  attach('TelemetrySenderLink', 0);
  await answered('TelemetrySenderLink');
  const bytes: Buffer[] = [];
  peer.stream.on('data', (chunk: Buffer) => bytes.push(chunk));
  for (let minute = 1; minute <= 5; minute += 1) {
    service.clock.advance(seconds(60));
    await until(() => peer.named('empty').length === minute, `empty frame ${minute}`);
    peer.write(Buffer.from([0, 0, 0, 8, 2, 0, 0, 0]));
  }
  expect(Buffer.concat(bytes).toString('hex')).toBe('0000000802000000'.repeat(5));
});

test('closing: every DETACH, the END and the CLOSE are answered in kind and without an error, then the socket ends', async () => {
  const names = Object.keys(links) as LinkName[];
  for (const [handle, name] of names.entries()) attach(name, handle);
  for (const name of names) await answered(name);
  const handles = peer.named('attach').map(({ fields }) => fields[1]?.value);
  for (const handle of names.keys()) peer.send('detach', { handle, closed: true });
  await peer.next('detach', names.length);
  expect(new Set(peer.named('detach').map(({ fields }) => fields[0]?.value))).toEqual(new Set(handles));
  expect(peer.named('detach').every(({ fields }) => fields[1]?.value === true && fields[2]?.value == null)).toBe(true);
  peer.send('end', {});
  expect((await peer.next('end')).fields[0]?.value ?? null).toBeNull();
  peer.send('close', {});
  expect((await peer.next('close')).fields[0]?.value ?? null).toBeNull();
  await until(() => peer.stream.readableEnded || peer.closed, 'the end');
  expect((await service.hub.registry.get('hub-a', deviceId)).connectionState).toBe('Disconnected');
});

test('CLOSE alone, with every link still attached, is enough', async () => {
  const names = Object.keys(links) as LinkName[];
  for (const [handle, name] of names.entries()) attach(name, handle);
  for (const name of names) await answered(name);
  peer.send('close', {});
  expect((await peer.next('close')).fields[0]?.value ?? null).toBeNull();
  await until(() => peer.stream.readableEnded || peer.closed, 'the end');
  expect(peer.named('detach').every(({ fields }) => fields[2]?.value == null)).toBe(true);
  expect((await service.hub.registry.get('hub-a', deviceId)).connectionState).toBe('Disconnected');
});
