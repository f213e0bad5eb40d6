import type { RunningService } from '../../client/running-service.ts';
import { dpsPath } from '../resource-path.ts';

/** Path of an uploaded certificate in Muster's API. */
export function certificateUrl(dpsName: string, certificateName: string, service: RunningService): string {
  return `${dpsPath(dpsName, service)}/certificates/${encodeURIComponent(certificateName)}`;
}
