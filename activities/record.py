"""Owns the writing of workflows' records into PostgreSQL."""

from dataclasses import dataclass

from sqlalchemy.exc import DataError, IntegrityError
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from holdfast.domain.record import Record
from holdfast.errors import Unavailable
from storage.records import Records


@dataclass(frozen=True)
class RecordActivities:
    """Writes facts and read models; repeating a write changes nothing."""

    records: Records

    @activity.defn
    async def write_record(self, record: Record) -> None:
        """Write a record in one transaction.

        Raises:
            ApplicationError: Non-retryable, when PostgreSQL will never take what it was given.
        """
        try:
            await self.records.write(record)
        except (DataError, IntegrityError) as error:
            raise ApplicationError(str(error), type="Unwritable", non_retryable=True) from error
        except Unavailable as error:
            # Not worth a traceback each time: it is tried until PostgreSQL is back.
            activity.logger.warning("the record waits: %s", error)
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError(str(error), type="Unavailable", category=benign) from error
