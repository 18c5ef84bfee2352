import { createDecipheriv, type KeyObject } from 'node:crypto';

const tagBytes = 16;
const nonceBytes = 12;

/**
 * Opens what a channel encrypted with AES-256-GCM: the ciphertext in base64 with its tag at the end,
 * a nonce of 12 bytes and associated data as text. Null when it was not sealed with this key, or was
 * changed since. The algorithm is ours to say: what a message calls its algorithm is not looked at.
 */
export function unseal(
  key: KeyObject,
  sealed: { readonly nonce: string; readonly associatedData: string; readonly ciphertext: string },
): Buffer | null {
  const nonce = Buffer.from(sealed.nonce, 'utf8');
  const bytes = Buffer.from(sealed.ciphertext, 'base64');
  if (nonce.length !== nonceBytes || bytes.length < tagBytes) return null;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(sealed.associatedData, 'utf8'));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    return Buffer.concat([decipher.update(bytes.subarray(0, -tagBytes)), decipher.final()]);
  } catch {
    return null;
  }
}
