import { choice, flag, list, text } from '../grammar/option.ts';
import { etagOption } from './dps-options.ts';
import { readmitOption } from './readmit.ts';

const authentication = { group: 'Authentication' } as const;
const allocation = { group: 'Allocation Policy' } as const;

export const reprovisionPolicies = ['reprovisionandmigratedata', 'reprovisionandresetdata', 'never'] as const;
export type ReprovisionChoice = (typeof reprovisionPolicies)[number];

/** What enrollments and groups have in common, on creation and on update. */
export const enrollmentSettings = {
  provisioningStatus: choice(
    ['--provisioning-status', '--ps'],
    ['disabled', 'enabled'] as const,
    'Enable or disable the enrollment entry.',
  ),
  reprovisionPolicy: choice(
    ['--reprovision-policy', '--rp'],
    reprovisionPolicies,
    'What happens to the data of a device that is assigned to another hub.',
  ),
  initialTwinTags: text(['--initial-twin-tags', '--tags'], 'Initial device twin tags: JSON, or @file.'),
  initialTwinProperties: text(['--initial-twin-properties', '--props'], 'Initial desired properties of the device twin: JSON, or @file.'),
  edgeEnabled: flag(['--edge-enabled', '--ee'], 'Flag indicating edge enablement.'),
  allocationPolicy: choice(
    ['--allocation-policy', '--ap'],
    ['custom', 'geoLatency', 'hashed', 'static'] as const,
    'How a device is assigned to a hub. Without it the policy of the provisioning service is used.',
    allocation,
  ),
  iotHubs: list(
    ['--iot-hubs', '--ih'],
    'Host names of the hubs that the allocation policy may choose from, separated by spaces.',
    allocation,
  ),
  iotHubHostName: text(['--iot-hub-host-name', '--hn'], 'Deprecated, use --iot-hubs: host name of the one hub.', {
    ...allocation,
    hidden: true,
  }),
  webhookUrl: text(['--webhook-url', '--wh'], 'URL of the webhook for custom allocation.', allocation),
  apiVersion: text(['--api-version', '--av'], 'api-version that is sent to the webhook for custom allocation.', allocation),
} as const;

export const keyOptions = {
  primaryKey: text(['--primary-key', '--pk'], 'The primary symmetric key in base64.', authentication),
  secondaryKey: text(['--secondary-key', '--sk'], 'The secondary symmetric key in base64.', authentication),
} as const;

export const certificateOptions = {
  certificatePath: text(['--certificate-path', '--cp'], 'Path of the file with the primary certificate.', authentication),
  secondaryCertificatePath: text(
    ['--secondary-certificate-path', '--scp'],
    'Path of the file with the secondary certificate.',
    authentication,
  ),
} as const;

/** What an update has besides. */
export const updateOptions = {
  etag: etagOption,
  readmit: readmitOption,
  removeCertificate: flag(['--remove-certificate', '--rc'], 'Remove the current primary certificate.', authentication),
  removeSecondaryCertificate: flag(
    ['--remove-secondary-certificate', '--rsc'],
    'Remove the current secondary certificate.',
    authentication,
  ),
} as const;
