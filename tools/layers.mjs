// Who may import whom. A layer may always import itself. Order matters only for reading.
export const layers = [
  { name: 'kernel', path: '^src/kernel/', may: [], node: false, packages: [] },
  { name: 'contracts', path: '^src/contracts/', may: ['kernel'], node: false, packages: ['zod'] },
  { name: 'pki', path: '^src/pki/', may: ['kernel'], node: true },
  { name: 'access', path: '^src/access/', may: ['kernel'], node: true },
  { name: 'tpm', path: '^src/tpm/', may: ['kernel'], node: true },
  { name: 'blocks', path: '^src/blocks/', may: ['kernel', 'contracts', 'pki'], node: true },
  { name: 'audit', path: '^src/audit/', may: ['kernel', 'contracts'], node: true },
  { name: 'refusals', path: '^src/refusals/', may: ['kernel', 'contracts'], node: true },
  { name: 'events', path: '^src/events/', may: ['kernel', 'contracts', 'audit'], node: true },
  { name: 'operators', path: '^src/operators/', may: ['kernel', 'contracts', 'audit'], node: true },
  {
    name: 'provisioning',
    path: '^src/provisioning/',
    may: ['kernel', 'contracts', 'pki', 'access', 'tpm', 'blocks', 'audit', 'refusals', 'events'],
    node: true,
  },
  { name: 'hub', path: '^src/hub/', may: ['kernel', 'contracts', 'pki', 'access', 'blocks', 'audit', 'refusals'], node: true },
  {
    name: 'fleet',
    path: '^src/fleet/',
    may: ['kernel', 'contracts', 'pki', 'access', 'blocks', 'audit', 'refusals', 'events', 'provisioning', 'hub'],
    node: true,
  },
  { name: 'connection', path: '^src/transports/connection\\.ts$', may: ['kernel'], node: true },
  { name: 'engines', path: '^src/transports/[^/]+/engine/', may: ['kernel', 'connection'], node: true },
  { name: 'transport errors', path: '^src/transports/[^/]+/errors\\.ts$', may: ['kernel', 'contracts', 'engines'], node: true },
  {
    name: 'request cause',
    path: '^src/transports/http/(cause|readmission-guard)\\.ts$',
    may: ['kernel', 'contracts', 'audit', 'engines'],
    node: true,
  },
  {
    name: 'provisioning bindings',
    path: '^src/transports/[^/]+/(dps|service)/',
    may: ['kernel', 'contracts', 'access', 'audit', 'connection', 'engines', 'transport errors', 'request cause', 'provisioning'],
    node: true,
  },
  {
    name: 'hub bindings',
    path: '^src/transports/[^/]+/hub/',
    may: ['kernel', 'contracts', 'access', 'audit', 'connection', 'engines', 'transport errors', 'request cause', 'hub'],
    node: true,
  },
  {
    name: 'own API',
    path: '^src/transports/http/muster/',
    may: [
      'kernel',
      'contracts',
      'access',
      'audit',
      'refusals',
      'events',
      'operators',
      'connection',
      'engines',
      'transport errors',
      'request cause',
      'blocks',
      'provisioning',
      'hub',
      'fleet',
    ],
    node: true,
  },
  {
    name: 'doors',
    path: '^src/transports/[^/]+/door\\.ts$',
    may: [
      'kernel',
      'contracts',
      'connection',
      'engines',
      'transport errors',
      'provisioning bindings',
      'hub bindings',
      'own API',
      'provisioning',
      'hub',
      'fleet',
    ],
    node: true,
  },
  { name: 'stores', path: '^src/stores/', may: ['kernel', 'contracts', 'pki', 'blocks', 'audit', 'domain ports'], node: true },
  { name: 'bus', path: '^src/bus/', may: ['kernel', 'contracts', 'domain ports'], node: true },
  { name: 'outbound', path: '^src/outbound/', may: ['kernel', 'contracts', 'domain ports'], node: true },
  { name: 'runtime', path: '^src/runtime/', may: ['kernel', 'contracts', 'pki'], node: true },
  { name: 'config', path: '^src/config/', may: ['kernel', 'contracts'], node: true },
  { name: 'cli', path: '^src/cli/', may: ['kernel', 'contracts', 'pki', 'access', 'audit'], node: true },
  { name: 'composition', path: '^src/(compose|main)\\.ts$|^src/composition/', may: ['*'], node: true },
];

const ports = '^src/(provisioning|hub|fleet|refusals|events|operators)/ports\\.ts$';

export function forbiddenRules() {
  const rules = layers.filter((layer) => !layer.may.includes('*')).map(layerRule);
  for (const layer of layers.filter((candidate) => !candidate.node)) {
    rules.push({ name: `${layer.name} is pure`, severity: 'error', from: { path: layer.path }, to: { dependencyTypes: ['core'] } });
  }
  rules.push({ name: 'no circles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } });
  rules.push({ name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } });
  return rules;
}

function layerRule(layer) {
  const allowed = layer.may.map((name) => (name === 'domain ports' ? ports : layers.find((other) => other.name === name).path));
  return {
    name: `${layer.name} imports only ${layer.may.join(', ') || 'itself'}`,
    severity: 'error',
    from: { path: layer.path },
    to: { path: '^src/', pathNot: [layer.path, ...allowed] },
  };
}
