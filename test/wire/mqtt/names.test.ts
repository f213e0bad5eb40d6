import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDpsTopic, renderDpsTopic } from '../../../src/transports/mqtt/dps/topics.ts';
import { looksLikeDpsUserName, parseDpsUserName } from '../../../src/transports/mqtt/dps/user-name.ts';
import { matchesTopic } from '../../../src/transports/mqtt/engine/topic-filter.ts';
import { parseHubTopic } from '../../../src/transports/mqtt/hub/topics.ts';
import { parseHubUserName } from '../../../src/transports/mqtt/hub/user-name.ts';

test.each([
  ['Node', '2019-03-31', '&ClientVersion=azure-iot-provisioning-device%2F1.9'],
  ['C, not encoded', '2021-06-01', '&ClientVersion=1.15.0 (x/y?z)'],
  ['without a version of the client', '2018-11-01', ''],
  ['a preview', '2025-07-01-preview', ''],
])('ok/provisioning user name: %s', (_, apiVersion, rest) => {
  const userName = `0ne00/registrations/dev-1/api-version=${apiVersion}${rest}`;
  expect(looksLikeDpsUserName(userName)).toBe(true);
  expect(parseDpsUserName(userName)).toEqual({ idScope: '0ne00', registrationId: 'dev-1', apiVersion });
});

test.each([
  '0ne00/registrations/dev-1',
  '0ne00/registrations/dev-1/',
  '0ne00/registrations/dev-1/api-version=',
  '0ne00/registrations/dev-1/api-version=latest',
  '0ne00/registrations/dev-1/ClientVersion=1&api-version=2019-03-31',
  '0ne00/registrations//api-version=2019-03-31',
  '/registrations/dev-1/api-version=2019-03-31',
  `0ne00/registrations/${'x'.repeat(129)}/api-version=2019-03-31`,
])('refused/provisioning user name: %s', (userName) => {
  expect(looksLikeDpsUserName(userName)).toBe(true);
  expect(() => parseDpsUserName(userName)).toThrowError(expect.objectContaining({ error: 'DpsBadRequest' }));
});

test.each([
  'hub.example/dev/?api-version=2021-04-12&DeviceClientType=x/registrations/y',
  'hub.example/registrations/?api-version=2021-04-12',
  'hub.example/registrations/module/?api-version=2021-04-12',
  'hub.example/registrations?api-version=2021-04-12&DeviceClientType=a/b',
])("ok/a hub's user name is not taken for a provisioning one: %s", (userName) => {
  expect(looksLikeDpsUserName(userName)).toBe(false);
});

test.each([
  ['hub.example/dev/?api-version=2021-04-12&DeviceClientType=azure%20x;(y)', 'dev', 'hub.example'],
  ['hub.example:28883/dev/?api-version=2021-04-12', 'dev', 'hub.example:28883'],
  ['hub.example/dev?api-version=2019-10-01', 'dev', 'hub.example'],
  ['hub.example/dev/', 'dev', 'hub.example'],
  ['hub.example/dev/?model-id=dtmi:com:example;1&api-version=2021-04-12', 'dev', 'hub.example'],
  ['hub.example/dev', 'dev', 'hub.example'],
  ['hub.example/what?is/?api-version=2021-04-12', 'what?is', 'hub.example'],
])('ok/hub user name %s', (userName, clientId, host) => {
  expect(parseHubUserName(userName, clientId)).toBe(host);
});

test.each([
  ['hub.example/other/?api-version=2021-04-12', 'dev'],
  ['hub.example/device/?api-version=2021-04-12', 'dev'],
  ['hub.example/DEV/?api-version=2021-04-12', 'dev'],
  ['/dev/?api-version=2021-04-12', 'dev'],
  ['hub.example/dev/?api-version=new', 'dev'],
  ['dev', 'dev'],
])('refused/hub user name %s', (userName, clientId) => {
  expect(() => parseHubUserName(userName, clientId)).toThrowError(expect.objectContaining({ error: 'ArgumentInvalid' }));
});

test('ok/provisioning request topics; the rid comes back byte for byte, first', () => {
  expect(parseDpsTopic('$dps/registrations/PUT/iotdps-register/?$rid=a-1')).toEqual({ kind: 'register', rid: 'a-1' });
  expect(parseDpsTopic('$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=4.0a.b-c')).toEqual({
    kind: 'status',
    rid: '2',
    operationId: '4.0a.b-c',
  });
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9%.~=_{}-]{1,60}$/u), (rid) => {
      expect(parseDpsTopic(`$dps/registrations/PUT/iotdps-register/?$rid=${rid}`)).toEqual({ kind: 'register', rid });
      expect(renderDpsTopic({ status: 202, rid, retryAfterSeconds: 3 })).toBe(`$dps/registrations/res/202/?$rid=${rid}&retry-after=3`);
    }),
  );
});

test.each([
  '$dps/registrations/PUT/iotdps-register/',
  '$dps/registrations/PUT/iotdps-register/?rid=1',
  '$dps/registrations/PUT/iotdps-register/?$rid=',
  '$dps/registrations/PUT/iotdps-register/?$rid=#',
  '$dps/registrations/PUT/iotdps-register/?$rid=a/b',
  `$dps/registrations/PUT/iotdps-register/?$rid=${'x'.repeat(257)}`,
  '$dps/registrations/res/200/?$rid=1',
  'devices/d/messages/events/',
])('refused/provisioning topic %s', (topic) => {
  expect(parseDpsTopic(topic)).toBeUndefined();
});

test('ok/hub topics compare the device id as it is', () => {
  const nothing = { systemProperties: {}, applicationProperties: {} };
  for (const id of ['dev', 'a+b', 'a#', 'a%20b', '$x', "it's(1)"]) {
    expect(parseHubTopic(`devices/${id}/messages/events/`, id)).toEqual({ kind: 'telemetry', properties: nothing });
    expect(parseHubTopic(`devices/${id}/messages/events`, id)).toEqual({ kind: 'telemetry', properties: nothing });
    expect(parseHubTopic(`devices/${id}x/messages/events/`, id)).toBeUndefined();
  }
  expect(parseHubTopic('devices/other/messages/events/', '+')).toBeUndefined();
  expect(parseHubTopic('$iothub/methods/res/200/?$rid=7', 'dev')).toEqual({ kind: 'method-response', rid: '7', status: 200 });
  expect(parseHubTopic('$iothub/twin/PATCH/properties/reported/?$rid=7&$version=3', 'dev')).toEqual({
    kind: 'patch-reported',
    rid: '7',
    version: '3',
  });
  for (const topic of [
    '$iothub/twin/GET/',
    '$iothub/methods/res/x/?$rid=1',
    '$iothub/twin/res/200/?$rid=1',
    'devices/dev/messages/devicebound/x',
  ]) {
    expect(parseHubTopic(topic, 'dev')).toBeUndefined();
  }
});

test.each([
  ['#', 'a/b', true],
  ['#', '$a', false],
  ['+/b', '$a/b', false],
  ['a/#', 'a', true],
  ['a/#', 'a/b/c', true],
  ['a/+/c', 'a/b/c', true],
  ['a/+', 'a/b/c', false],
  ['a/+', 'a', false],
  ['a/b', 'a/b', true],
  ['a/b', 'a/B', false],
  ['a/#/c', 'a/b/c', false],
  ['a/#/c', 'a/#/c', true],
  ['a/x+', 'a/xy', false],
  ['$a/#', '$a/b', true],
  ['+', '', true],
])('ok/filter %s, topic %s: %s', (filter, topic, expected) => {
  expect(matchesTopic(filter, topic)).toBe(expected);
});
