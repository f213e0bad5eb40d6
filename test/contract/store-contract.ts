import { describe } from 'vitest';

import { describeAuditStore } from './audit-store-contract.ts';
import { describeBlockStore } from './block-store-contract.ts';
import { describeCaCertificateStore } from './ca-certificate-store-contract.ts';
import { describeDecisionStore } from './decision-store-contract.ts';
import { describeDeviceStore } from './device-store-contract.ts';
import { describeEnrollmentStore } from './enrollment-store-contract.ts';
import { describeEventStores } from './event-store-contract.ts';
import { describeFleetStores } from './fleet-stores-contract.ts';
import { describeHubInstanceStore } from './hub-instance-store-contract.ts';
import { describeInstanceStore } from './instance-store-contract.ts';
import { describeMessageQueueStore } from './message-queue-store-contract.ts';
import type { OpenStore } from './open-sqlite.ts';
import { describePresenceStore } from './presence-store-contract.ts';
import { describeRegistrationStore } from './registration-store-contract.ts';
import { describeTelemetryStore } from './telemetry-store-contract.ts';
import { describeTpmStore } from './tpm-store-contract.ts';
import { describeTransactions } from './transactions-contract.ts';
import { describeTwinStore } from './twin-store-contract.ts';

/** Everything that both domains expect of a store, whatever database is behind it. */
export function describeStore(name: string, open: OpenStore): void {
  describe(name, () => {
    describeEnrollmentStore(open);
    describeRegistrationStore(open);
    describeCaCertificateStore(open);
    describeInstanceStore(open);
    describeDecisionStore(open);
    describeHubInstanceStore(open);
    describeDeviceStore(open);
    describeTwinStore(open);
    describeTelemetryStore(open);
    describeTpmStore(open);
    describeBlockStore(open);
    describeFleetStores(open);
    describeMessageQueueStore(open);
    describeAuditStore(open);
    describePresenceStore(open);
    describeEventStores(open);
    describeTransactions(open);
  });
}
