/**
 * What one does with a piece of the library, from wherever it is shown: favourite, rename, delete with undo, make again, vary, keep.
 *
 * Tells on the bus: "changed" {record}, "deleted" {id}, "restored" {record}.
 */

import * as api from "./api.js";
import { emit } from "./bus.js";
import { t } from "./i18n.js";
import { session } from "./session.js";
import { failed, toast } from "./toast.js";

/** Change what is written about a piece. @param {string} id @param {object} change */
export async function change(id, change) {
  const record = await api.patch(`/pieces/${id}`, change);
  if (session.current.record?.id === id) session.current.record = record;
  emit("changed", { record });
  session.libraryChanged();
  return record;
}

/** Put among the favourites, or take out. @param {any} record */
export const favourite = (record) => change(record.id, { favourite: !record.favourite });

/** @param {any} record @param {string} title */
export const rename = (record, title) => change(record.id, { title });

/** Delete a piece; the message offers to bring it back. @param {any} record */
export async function remove(record) {
  const open = session.current.record?.id === record.id;
  await api.del(`/pieces/${record.id}`);
  emit("deleted", { id: record.id });
  session.libraryChanged();
  const undo = async () => {
    await api.post(`/pieces/${record.id}/restore`);
    emit("restored", { record });
    session.libraryChanged();
    if (open) await session.open(record.id);
  };
  toast(t("library.deleted", { title: record.title }), { undo });
}

/** Make the same bytes again, and say whether they are the same. @param {any} record */
export const again = (record) => begin(() => session.again(record.id));

/** A new piece like this one, with another seed. @param {any} record */
export const vary = (record) => begin(() => session.vary(record.id));

async function begin(start) {
  if (session.busy) {
    toast(t("composer.busy"));
    return;
  }
  try {
    await start();
  } catch (error) {
    failed(error);
  }
}
