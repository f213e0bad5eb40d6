import { dpsName, groupName, type Step } from '../stage.ts';
import { everyMilliseconds } from '../telemetry.ts';

export const createGroup: Step = {
  title: 'A group that lets in every device below that root',
  async run({ shell }) {
    const twin = JSON.stringify({ everyMilliseconds });
    await shell.show(
      `iot dps enrollment-group create --dps-name ${dpsName} --enrollment-id ${groupName} --ca-name root --initial-twin-properties '${twin}' --query '{group:enrollmentGroupId, status:provisioningStatus}' -o table`,
    );
  },
};
