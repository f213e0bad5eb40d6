/** One line per group of the grammar, shown by `-h`. */
export const groupSummaries: Readonly<Record<string, string>> = {
  '': 'Let devices in, and shut them out. A device provisioning service and an IoT hub of your own, in the words of az.',
  iot: 'Manage Internet of Things (IoT) assets.',
  'iot dps': 'Manage device provisioning services.',
  'iot dps certificate': 'Manage the CA certificates of a provisioning service.',
  'iot dps connection-string': 'Manage the connection strings of provisioning services.',
  'iot dps enrollment': 'Manage individual enrollments, one device each.',
  'iot dps enrollment registration': 'Manage the registration record that an individual enrollment led to.',
  'iot dps enrollment-group': 'Manage enrollment groups, many devices each.',
  'iot dps enrollment-group registration': 'Manage the registration records of the devices of a group.',
  'iot dps linked-hub': 'Manage the hubs that a provisioning service assigns devices to.',
  'iot hub': 'Manage IoT hubs.',
  'iot hub connection-string': 'Manage the connection strings of hubs.',
  'iot hub device-identity': 'Manage the identities of devices in a hub.',
  'iot hub device-twin': 'Manage the twins of devices.',
  device: 'Be a device.',
  pki: 'Make certificates for trying things out.',
};
