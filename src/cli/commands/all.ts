import type { Command } from '../grammar/command.ts';
import { auditExport } from './audit/export.ts';
import { auditHead, auditList, auditShow } from './audit/list.ts';
import { auditPrune } from './audit/prune.ts';
import { auditVerify } from './audit/verify.ts';
import { deviceRun } from './device/run.ts';
import { deviceRegistrationCreate } from './iot-device-registration/create.ts';
import { messagePurge } from './iot-device-c2d-message/purge.ts';
import { messageReceive } from './iot-device-c2d-message/receive.ts';
import { messageSend } from './iot-device-c2d-message/send.ts';
import { messageAbandon, messageComplete, messageReject } from './iot-device-c2d-message/settle.ts';
import { sendTelemetry } from './iot-device/send-d2c-message.ts';
import { deviceSimulate } from './iot-device/simulate.ts';
import { certificateCreate } from './iot-dps-certificate/create.ts';
import { certificateDelete } from './iot-dps-certificate/delete.ts';
import { certificateGenerateCode } from './iot-dps-certificate/generate-verification-code.ts';
import { certificateList } from './iot-dps-certificate/list.ts';
import { certificateShow } from './iot-dps-certificate/show.ts';
import { certificateVerify } from './iot-dps-certificate/verify.ts';
import { dpsComputeDeviceKey, groupComputeDeviceKey } from './iot-dps-enrollment-group/compute-device-key.ts';
import { groupCreate } from './iot-dps-enrollment-group/create.ts';
import { groupDelete, groupList, groupShow } from './iot-dps-enrollment-group/entry.ts';
import { groupUpdate } from './iot-dps-enrollment-group/update.ts';
import { enrollmentCreate } from './iot-dps-enrollment/create.ts';
import { enrollmentDelete, enrollmentList, enrollmentShow } from './iot-dps-enrollment/entry.ts';
import { enrollmentUpdate } from './iot-dps-enrollment/update.ts';
import { linkedHubCreate } from './iot-dps-linked-hub/create.ts';
import { linkedHubDelete } from './iot-dps-linked-hub/delete.ts';
import { linkedHubList } from './iot-dps-linked-hub/list.ts';
import { linkedHubShow } from './iot-dps-linked-hub/show.ts';
import { linkedHubUpdate } from './iot-dps-linked-hub/update.ts';
import { policyCreate } from './iot-dps-policy/create.ts';
import { policyDelete } from './iot-dps-policy/delete.ts';
import { policyList, policyShow } from './iot-dps-policy/read.ts';
import { policyRenewKey } from './iot-dps-policy/renew-key.ts';
import { policyUpdate } from './iot-dps-policy/update.ts';
import {
  enrollmentRegistrationDelete,
  enrollmentRegistrationShow,
  groupRegistrationDelete,
  groupRegistrationList,
  groupRegistrationShow,
} from './iot-dps-registration/commands.ts';
import { dpsConnectionStringShow } from './iot-dps/connection-string.ts';
import { dpsCreate } from './iot-dps/create.ts';
import { dpsList } from './iot-dps/list.ts';
import { dpsShow } from './iot-dps/show.ts';
import { dpsUpdate } from './iot-dps/update.ts';
import { deviceIdentityCreate } from './iot-hub-device-identity/create.ts';
import { familyCommands } from './iot-hub-device-identity/family.ts';
import { deviceIdentityList } from './iot-hub-device-identity/list.ts';
import { deviceIdentityUpdate } from './iot-hub-device-identity/update.ts';
import { defineConnectionStringShow } from './iot-hub-identity/connection-string.ts';
import { defineIdentityDelete } from './iot-hub-identity/delete.ts';
import { defineInvokeMethod } from './iot-hub-identity/invoke-method.ts';
import { devices, modules } from './iot-hub-identity/kind.ts';
import { defineRenewKey } from './iot-hub-identity/renew-key.ts';
import { defineIdentityShow } from './iot-hub-identity/show.ts';
import { defineTwinReplace } from './iot-hub-identity/twin-replace.ts';
import { defineTwinShow } from './iot-hub-identity/twin-show.ts';
import { defineTwinUpdate } from './iot-hub-identity/twin-update.ts';
import { moduleIdentityCreate } from './iot-hub-module-identity/create.ts';
import { moduleIdentityList } from './iot-hub-module-identity/list.ts';
import { moduleIdentityUpdate } from './iot-hub-module-identity/update.ts';
import { hubConnectionStringShow } from './iot-hub/connection-string.ts';
import { hubCreate } from './iot-hub/create.ts';
import { blockCreate, blockDelete, blockList, blockShow } from './fleet/block.ts';
import { deprovision, retire, revoke } from './fleet/deprovision.ts';
import { explain } from './fleet/explain.ts';
import { receiptList, receiptShow } from './fleet/receipt.ts';
import { reconcile } from './fleet/reconcile.ts';
import { reinstate } from './fleet/reinstate.ts';
import { runList, runShow } from './fleet/run.ts';
import { eventList, tripwireList, tripwireShow } from './fleet/tripwire.ts';
import { generateSasToken } from './iot-hub/generate-sas-token.ts';
import { hubList } from './iot-hub/list.ts';
import { hubMonitorEvents } from './iot-hub/monitor-events.ts';
import { hubShow } from './iot-hub/show.ts';
import { endpoints } from './muster/endpoints.ts';
import { start } from './muster/start.ts';
import { tour } from './muster/tour.ts';
import { pkiDevice } from './pki/device.ts';
import { pkiIntermediate } from './pki/intermediate.ts';
import { pkiRoot } from './pki/root.ts';
import { pkiVerification } from './pki/verification.ts';
import { refusals } from './refusals/refusals.ts';
import { tokenCreate, tokenList, tokenRevoke } from './token/token.ts';
import { whatIfEnrollment, whatIfGroup } from './what-if/entries.ts';
import { whatIfBlock, whatIfCertificate, whatIfHub, whatIfList } from './what-if/resources.ts';

/** Every command that `muster` knows. A new one is a new file and one line here. */
export const commands: readonly Command[] = [
  start,
  endpoints,
  tour,
  deviceRun,
  deprovision,
  revoke,
  retire,
  reinstate,
  reconcile,
  explain,
  receiptShow,
  receiptList,
  blockCreate,
  blockList,
  blockShow,
  blockDelete,
  runShow,
  runList,
  whatIfEnrollment,
  whatIfGroup,
  whatIfCertificate,
  whatIfHub,
  whatIfList,
  whatIfBlock,
  refusals,
  tripwireList,
  tripwireShow,
  eventList,
  auditList,
  auditShow,
  auditHead,
  auditVerify,
  auditExport,
  auditPrune,
  tokenCreate,
  tokenList,
  tokenRevoke,
  pkiRoot,
  pkiIntermediate,
  pkiDevice,
  pkiVerification,
  dpsCreate,
  dpsShow,
  dpsList,
  dpsUpdate,
  dpsConnectionStringShow,
  policyList,
  policyShow,
  policyCreate,
  policyUpdate,
  policyRenewKey,
  policyDelete,
  linkedHubCreate,
  linkedHubList,
  linkedHubShow,
  linkedHubUpdate,
  linkedHubDelete,
  certificateCreate,
  certificateGenerateCode,
  certificateVerify,
  certificateList,
  certificateShow,
  certificateDelete,
  enrollmentCreate,
  enrollmentShow,
  enrollmentList,
  enrollmentUpdate,
  enrollmentDelete,
  enrollmentRegistrationShow,
  enrollmentRegistrationDelete,
  groupCreate,
  groupShow,
  groupList,
  groupUpdate,
  groupDelete,
  groupComputeDeviceKey,
  dpsComputeDeviceKey,
  groupRegistrationList,
  groupRegistrationShow,
  groupRegistrationDelete,
  deviceRegistrationCreate,
  hubCreate,
  hubShow,
  hubList,
  hubConnectionStringShow,
  hubMonitorEvents,
  generateSasToken,
  deviceIdentityCreate,
  deviceIdentityList,
  deviceIdentityUpdate,
  ...familyCommands,
  moduleIdentityCreate,
  moduleIdentityList,
  moduleIdentityUpdate,
  ...[devices, modules].flatMap((kind) => [
    defineInvokeMethod(kind),
    defineIdentityShow(kind),
    defineIdentityDelete(kind),
    defineRenewKey(kind),
    defineConnectionStringShow(kind),
    defineTwinShow(kind),
    defineTwinUpdate(kind),
    defineTwinReplace(kind),
  ]),
  sendTelemetry,
  deviceSimulate,
  messageSend,
  messageReceive,
  messageComplete,
  messageAbandon,
  messageReject,
  messagePurge,
];
