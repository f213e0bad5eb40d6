// Runs genuine Azure SDKs on request: each message from the parent names an operation, each answer carries its outcome.
// It adds nothing to the SDKs and hides nothing of what they report.
const { Client: DeviceClient, Message, ModuleClient, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Client: ServiceClient, Registry } = require('azure-iothub');
const { AmqpWs: ServiceAmqpWs } = require('azure-iothub/dist/amqp_ws.js');
const { Message: CloudMessage, SharedAccessSignature } = require('azure-iot-common');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { inspect } = require('node:util');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { TpmAuthenticationProvider, TpmSecurityClient } = require('azure-iot-security-tpm');
const { X509Security } = require('azure-iot-security-x509');
const { Tpm } = require('tss.js');
const provisioningMqtt = require('azure-iot-provisioning-device-mqtt');
const provisioningAmqp = require('azure-iot-provisioning-device-amqp');
const provisioningHttp = require('azure-iot-provisioning-device-http');
const deviceMqtt = require('azure-iot-device-mqtt');
const deviceAmqp = require('azure-iot-device-amqp');
const deviceHttp = require('azure-iot-device-http');

const transports = {
  mqtt: { provisioning: provisioningMqtt.Mqtt, device: deviceMqtt.Mqtt },
  'mqtt-ws': { provisioning: provisioningMqtt.MqttWs, device: deviceMqtt.MqttWs },
  amqp: { provisioning: provisioningAmqp.Amqp, device: deviceAmqp.Amqp },
  'amqp-ws': { provisioning: provisioningAmqp.AmqpWs, device: deviceAmqp.AmqpWs },
  https: { provisioning: provisioningHttp.Http, device: deviceHttp.Http },
};
const connections = new Map();
const services = new Map();

/** The SDK's own client of a TPM, led to a simulator. One for each: it holds the connection. */
const tpms = new Map();
function tpmAt(port, registrationId) {
  const known = tpms.get(port) ?? new TpmSecurityClient(registrationId, new Tpm(true, '127.0.0.1', port));
  tpms.set(port, known);
  return known;
}
const called = (target, method, ...args) =>
  new Promise((resolve, reject) => target[method](...args, (error, result) => (error ? reject(error) : resolve(result))));

const epochSeconds = () => Math.floor(Date.now() / 1000);

const operations = {
  async tpmKeys({ tpmPort }) {
    const tpm = tpmAt(tpmPort);
    const [endorsementKey, storageRootKey] = [await called(tpm, 'getEndorsementKey'), await called(tpm, 'getStorageRootKey')];
    const registrationId = await called(tpm, 'getRegistrationId');
    return { registrationId, endorsementKey: endorsementKey.toString('base64'), storageRootKey: storageRootKey.toString('base64') };
  },

  async openWithTpm({ connection, transport, hub, deviceId, tpmPort }) {
    const provider = TpmAuthenticationProvider.fromTpmSecurityClient(deviceId, hub, tpmAt(tpmPort));
    const client = DeviceClient.fromAuthenticationProvider(provider, transports[transport].device);
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    client.on('error', () => {});
    connections.set(connection, { client, disconnects: [], desired: [] });
    await client.open();
    return {};
  },

  register({ transport, host, idScope, registrationId, cert, key, symmetricKey, tpmPort, payload }) {
    const Transport = transports[transport].provisioning;
    const security =
      symmetricKey !== undefined
        ? new SymmetricKeySecurityClient(registrationId, symmetricKey)
        : tpmPort !== undefined
          ? tpmAt(tpmPort)
          : new X509Security(registrationId, { cert, key });
    const client = ProvisioningDeviceClient.create(host, idScope, new Transport(), security);
    if (payload !== undefined) client.setProvisioningPayload(payload);
    return new Promise((resolve, reject) => client.register((error, result) => (error ? reject(error) : resolve(result))));
  },

  async open({ connection, transport, hub, deviceId, moduleId, cert, key, sharedAccessKey, noRetry }) {
    const credential = sharedAccessKey === undefined ? 'x509=true' : `SharedAccessKey=${sharedAccessKey}`;
    const who = moduleId === undefined ? `DeviceId=${deviceId}` : `DeviceId=${deviceId};ModuleId=${moduleId}`;
    const Client = moduleId === undefined ? DeviceClient : ModuleClient;
    const client = Client.fromConnectionString(`HostName=${hub};${who};${credential}`, transports[transport].device);
    // Over HTTP the SDK takes the certificate at once and never settles the promise.
    const options = cert === undefined ? undefined : client.setOptions({ cert, key });
    if (transport !== 'https') await options;
    if (noRetry) client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    const state = { client, disconnects: [], desired: [] };
    client.on('disconnect', (reason) =>
      state.disconnects.push({ at: Date.now(), reason: String(reason?.err?.name ?? reason?.name ?? reason) }),
    );
    client.on('error', () => {});
    connections.set(connection, state);
    await client.open();
    return {};
  },

  /** A device whose tokens live for seconds; without a margin it has one token and no other. */
  async openWithTokens({ connection, transport, hub, deviceId, sharedAccessKey, lifeSeconds, marginSeconds }) {
    const text = `HostName=${hub};DeviceId=${deviceId};SharedAccessKey=${sharedAccessKey}`;
    const renewing =
      marginSeconds === undefined
        ? undefined
        : SharedAccessKeyAuthenticationProvider.fromConnectionString(text, lifeSeconds, marginSeconds);
    const token = SharedAccessSignature.create(`${hub}/devices/${deviceId}`, null, sharedAccessKey, epochSeconds() + lifeSeconds);
    const Transport = transports[transport].device;
    const client =
      renewing === undefined
        ? DeviceClient.fromSharedAccessSignature(token.toString(), Transport)
        : DeviceClient.fromAuthenticationProvider(renewing, Transport);
    if (renewing === undefined) client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    const state = { client, disconnects: [], desired: [] };
    client.on('disconnect', (reason) =>
      state.disconnects.push({ at: Date.now(), reason: String(reason?.err?.name ?? reason?.name ?? reason) }),
    );
    client.on('error', () => {});
    connections.set(connection, state);
    await client.open();
    return {};
  },

  async twin({ connection }) {
    const state = connections.get(connection);
    state.twin ??= await state.client.getTwin();
    if (!state.listening) {
      state.listening = true;
      state.twin.on('properties.desired', (patch) => state.desired.push(patch));
    }
    return plain(state.twin.properties);
  },

  async report({ connection, patch }) {
    const { twin } = connections.get(connection);
    await new Promise((resolve, reject) => twin.properties.reported.update(patch, (error) => (error ? reject(error) : resolve())));
    return {};
  },

  async send({ connection, text, properties = {} }) {
    const message = new Message(text);
    message.messageId = `message-${text}`;
    for (const [name, value] of Object.entries(properties)) message.properties.add(name, value);
    await connections.get(connection).client.sendEvent(message);
    return {};
  },

  /** Collects messages to the device; `decide` names what to do with a text the first time it comes, else it is completed. */
  listen({ connection, decide = {} }) {
    const state = connections.get(connection);
    state.messages = [];
    state.settlements = [];
    state.client.on('message', (message) => {
      const text = message.getData().toString();
      const settlement = decide[text] ?? 'complete';
      delete decide[text];
      const properties = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
      state.messages.push({ text, messageId: message.messageId, to: message.to, ack: message.ack, properties });
      state.client[settlement](message, (error) => state.settlements.push({ text, settlement, error: error?.name }));
    });
    return {};
  },

  heard: async ({ connection }) => {
    const { messages, settlements } = connections.get(connection);
    return plain({ messages, settlements });
  },

  /** Answers a method with its own payload, or never. */
  method({ connection, name, status, silent }) {
    const { client } = connections.get(connection);
    const listen = client instanceof ModuleClient ? client.onMethod : client.onDeviceMethod;
    listen.call(client, name, (request, response) => {
      if (!silent) response.send(status, { name: request.methodName, got: request.payload }, () => {});
    });
    return {};
  },

  invoke({ connectionString, deviceId, moduleId, params }) {
    const client = ServiceClient.fromConnectionString(connectionString);
    const target = moduleId === undefined ? [deviceId] : [deviceId, moduleId];
    return client.invokeDeviceMethod(...target, params).then(({ result }) => plain(result));
  },

  async openService({ id, connectionString, transport }) {
    const client = ServiceClient.fromConnectionString(connectionString, transport === 'amqp-ws' ? ServiceAmqpWs : undefined);
    await client.open();
    services.set(id, { client, records: [] });
    return {};
  },

  async sendTo({ id, deviceId, text, ack = 'none', properties = {} }) {
    const message = new CloudMessage(text);
    message.messageId = `id-${text}`;
    message.ack = ack;
    for (const [name, value] of Object.entries(properties)) message.properties.add(name, value);
    await services.get(id).client.send(deviceId, message);
    return {};
  },

  async followFeedback({ id }) {
    const service = services.get(id);
    const receiver = await receiverOf(service.client, 'getFeedbackReceiver');
    receiver.on('message', (message) => {
      service.records.push(...JSON.parse(message.getData().toString()));
      receiver.complete(message, () => {});
    });
    return {};
  },

  feedback: async ({ id }) => services.get(id).records,

  /** The SDK hands out a receiver before it hears of the refusal, and then ends the whole connection with it. */
  fileNotifications({ id }) {
    return new Promise((resolve, reject) => {
      setTimeout(() => resolve({}), 5000);
      const { client } = services.get(id);
      client.on('disconnect', (reason) => reject(reason));
      client.getFileNotificationReceiver((error) => error && reject(error));
    });
  },

  async closeService({ id }) {
    const service = services.get(id);
    services.delete(id);
    await service?.client.close();
    return {};
  },

  observed: async ({ connection }) => {
    const { disconnects, desired } = connections.get(connection);
    return { disconnects, desired: plain(desired) };
  },

  async close({ connection }) {
    const state = connections.get(connection);
    connections.delete(connection);
    await state?.client.close();
    return {};
  },

  dps({ connectionString, method, args }) {
    const client = ProvisioningServiceClient.fromConnectionString(connectionString);
    return client[method](...args).then((answer) => plain(answer?.responseBody ?? answer));
  },

  async dpsQuery({ connectionString, method, args }) {
    const query = ProvisioningServiceClient.fromConnectionString(connectionString)[method](...args);
    const found = [];
    do {
      const page = await new Promise((resolve, reject) => query.next((error, items) => (error ? reject(error) : resolve(items))));
      found.push(...page);
    } while (query.hasMoreResults);
    return plain(found);
  },

  async registry({ connectionString, method, args }) {
    const answer = await Registry.fromConnectionString(connectionString)[method](...args);
    return plain(answer?.responseBody ?? answer);
  },

  async twinUpdate({ connectionString, deviceId, patch }) {
    const answer = await Registry.fromConnectionString(connectionString).updateTwin(deviceId, patch, '*');
    return plain(answer.responseBody ?? answer);
  },
};

process.on('message', async ({ id, operation, input }) => {
  try {
    process.send({ id, ok: true, value: await operations[operation](input) });
  } catch (error) {
    // Over AMQP the SDK hands out the AMQP error as rhea decoded it, which is no Error and has no message.
    const { name, message = inspect(error, { depth: 4 }), result, responseBody } = error;
    const statusCode = error.statusCode ?? error.response?.statusCode;
    process.send({ id, ok: false, error: { name, message, result: plain(result), responseBody, statusCode } });
  }
});
process.send({ ready: true });

/** The promise form resolves with a pair; the callback gets the receiver. */
function receiverOf(client, method) {
  return new Promise((resolve, reject) => client[method]((error, receiver) => (error ? reject(error) : resolve(receiver))));
}

/** What JSON keeps of an SDK object. */
function plain(value) {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value, (key, inner) => (key.startsWith('_') ? undefined : inner)));
}
