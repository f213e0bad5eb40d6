// Preloaded into a client process. Genuine SDKs dial 443, 8883 and 5671 and look names up in DNS; the suite runs without
// privileges and beside other services, so the connections are led to the ports in MUSTER_TEST_PORTS, and names below
// `.localhost` to loopback. It stands in for a port mapping and a hosts file: the SDKs and TLS verification are untouched.
const net = require('node:net');

const ports = JSON.parse(process.env.MUSTER_TEST_PORTS ?? '{}');
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function mapped(...args) {
  const normalised = Array.isArray(args[0]) ? args[0] : net._normalizeArgs(args);
  const [options, callback] = normalised;
  const port = ports[String(options.port)];
  if (port === undefined) return connect.apply(this, args);
  const led = { ...options, port, host: '127.0.0.1' };
  return connect.call(this, led, ...(callback ? [callback] : []));
};
