#[derive(other::raftobj::serde::Serialize, other::raftobj::serde::Deserialize)]
#[serde(
    crate = "other::raftobj::serde",
    bound(
        serialize = "BTreeMap<K, V>: other::raftobj::serde::Serialize",
        deserialize = "BTreeMap<K, V>: other::raftobj::serde::Deserialize<'de>"
    )
)]
pub struct Map<K, V>
where
    K: Ord,
{
    entries: BTreeMap<K, V>,
    count: u64,
}
#[automatically_derived]
impl<K, V> other::raftobj::Replicated for Map<K, V>
where
    K: Ord,
    Map<
        K,
        V,
    >: other::raftobj::serde::Serialize + other::raftobj::serde::de::DeserializeOwned
        + ::core::marker::Send + ::core::marker::Sync + 'static,
{}
#[cfg(feature = "maps")]
impl<K: Ord, V> Map<K, V>
where
    Self: Sized,
{
    #[cfg(feature = "stamps")]
    #[deprecated = "use put"]
    pub(crate) fn stamp(
        &mut self,
        at: &ApplyContext,
        (key, mut value): (K, V),
        others: &[V],
        of: &Self,
        _: u8,
    ) -> Option<V> {
        self.only_expanded()
    }
    pub fn count<Q: Ord>(&self, keys: impl Iterator<Item = Q>) -> usize
    where
        K: Borrow<Q>,
    {
        self.only_expanded()
    }
}
#[cfg(feature = "maps")]
const _: () = {
    ///The methods of `Map` on a `Replica` of it.
    pub struct __MapHandle<T: other::raftobj::Object> {
        core: other::raftobj::__private::Core<T>,
    }
    #[automatically_derived]
    impl<K: Ord, V> ::core::clone::Clone for __MapHandle<Map<K, V>>
    where
        Map<K, V>: Sized,
        K: other::raftobj::__private::ReplicatedParameter,
        V: other::raftobj::__private::ReplicatedParameter,
    {
        fn clone(&self) -> Self {
            Self {
                core: ::core::clone::Clone::clone(&self.core),
            }
        }
    }
    #[automatically_derived]
    impl<K: Ord, V> other::raftobj::__private::Handle for __MapHandle<Map<K, V>>
    where
        Map<K, V>: Sized,
        K: other::raftobj::__private::ReplicatedParameter,
        V: other::raftobj::__private::ReplicatedParameter,
    {
        type Object = Map<K, V>;
        fn new(core: other::raftobj::__private::Core<Map<K, V>>) -> Self {
            Self { core }
        }
        fn core(&self) -> &other::raftobj::__private::Core<Map<K, V>> {
            &self.core
        }
    }
    #[automatically_derived]
    impl<K: Ord, V> __MapHandle<Map<K, V>>
    where
        Map<K, V>: Sized,
        K: other::raftobj::__private::ReplicatedParameter,
        V: other::raftobj::__private::ReplicatedParameter,
    {
        ///Calls `Map::stamp` on every replica.
        #[cfg(feature = "stamps")]
        #[deprecated = "use put"]
        pub(crate) fn stamp(
            &self,
            argument_1: (K, V),
            others: &[V],
            of: &Map<K, V>,
            argument_4: u8,
        ) -> other::raftobj::__private::Call<Option<V>>
        where
            for<'trivial> (K, V): other::raftobj::serde::Serialize,
            for<'trivial> V: other::raftobj::serde::Serialize,
            for<'trivial> Map<K, V>: other::raftobj::serde::Serialize,
            for<'trivial> u8: other::raftobj::serde::Serialize,
        {
            <Option<
                V,
            > as other::raftobj::__private::ReplicatedReply>::call(
                &self.core,
                other::raftobj::__private::MethodId(2000845444u32),
                &(&argument_1, others, of, &argument_4),
            )
        }
        ///Reads `Map::count` from this node's copy.
        pub fn count<Q: Ord>(&self, keys: impl Iterator<Item = Q>) -> usize
        where
            K: Borrow<Q>,
        {
            let guard = self.core.read();
            <Map<K, V>>::count(&guard, keys)
        }
    }
    #[automatically_derived]
    impl<K: Ord, V> other::raftobj::Object for Map<K, V>
    where
        Map<K, V>: Sized,
        K: other::raftobj::__private::ReplicatedParameter,
        V: other::raftobj::__private::ReplicatedParameter,
    {
        type Handle = __MapHandle<Map<K, V>>;
        const NAME: &'static ::core::primitive::str = "Map";
        const METHODS: &'static [other::raftobj::__private::Method] = {
            const TABLE: &[other::raftobj::__private::Method] = &[
                #[cfg(feature = "stamps")]
                other::raftobj::__private::Method {
                    id: other::raftobj::__private::MethodId(2000845444u32),
                    name: "stamp",
                    arity: 4u8,
                    types: "(K, V), &[V], &Self, u8",
                },
            ];
            const _: () = other::raftobj::__private::check_methods(TABLE);
            TABLE
        };
        fn apply(
            &mut self,
            method: other::raftobj::__private::MethodId,
            arguments: &[::core::primitive::u8],
            context: &other::raftobj::__private::ApplyContext,
            reply: &mut ::std::vec::Vec<::core::primitive::u8>,
        ) -> ::core::result::Result<(), other::raftobj::__private::MethodError> {
            let _ = (arguments, context, &reply);
            match method {
                #[cfg(feature = "stamps")]
                other::raftobj::__private::MethodId(2000845444u32) => {
                    let mut arguments = other::raftobj::__private::Arguments::new(
                        "stamp",
                        arguments,
                    );
                    let argument_0 = <(
                        K,
                        V,
                    ) as other::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    let argument_1 = <V as other::raftobj::__private::ReplicatedArgument>::decode_slice(
                        &mut arguments,
                    )?;
                    let argument_2 = <Self as other::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    let argument_3 = <u8 as other::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    arguments.end()?;
                    #[allow(deprecated)]
                    let value = Self::stamp(
                        self,
                        context,
                        argument_0,
                        &argument_1,
                        &argument_2,
                        argument_3,
                    );
                    <Option<
                        V,
                    > as other::raftobj::__private::ReplicatedReply>::encode(
                        &value,
                        "stamp",
                        reply,
                    )
                }
                _ => {
                    ::core::result::Result::Err(
                        other::raftobj::__private::MethodError::Unknown(method),
                    )
                }
            }
        }
        fn describe(
            method: other::raftobj::__private::MethodId,
            arguments: &[::core::primitive::u8],
        ) -> ::core::result::Result<
            ::std::string::String,
            other::raftobj::__private::MethodError,
        > {
            use other::raftobj::__private::{ShowAnything as _, ShowDebug as _};
            let _ = arguments;
            match method {
                #[cfg(feature = "stamps")]
                other::raftobj::__private::MethodId(2000845444u32) => {
                    let mut arguments = other::raftobj::__private::Arguments::new(
                        "stamp",
                        arguments,
                    );
                    let argument_0 = <(
                        K,
                        V,
                    ) as other::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    let argument_1 = <V as other::raftobj::__private::ReplicatedArgument>::decode_slice(
                        &mut arguments,
                    )?;
                    let argument_2 = <Self as other::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    let argument_3 = <u8 as other::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    arguments.end()?;
                    let mut list = ::std::string::String::new();
                    (&other::raftobj::__private::Shown(&argument_0)).show(&mut list);
                    (&other::raftobj::__private::Shown(&argument_1)).show(&mut list);
                    (&other::raftobj::__private::Shown(&argument_2)).show(&mut list);
                    (&other::raftobj::__private::Shown(&argument_3)).show(&mut list);
                    ::core::result::Result::Ok(list)
                }
                _ => {
                    ::core::result::Result::Err(
                        other::raftobj::__private::MethodError::Unknown(method),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl<K: Ord, V> other::raftobj::__private::OnlyOneReplicatedImplBlock for Map<K, V>
    where
        Map<K, V>: Sized,
        K: other::raftobj::__private::ReplicatedParameter,
        V: other::raftobj::__private::ReplicatedParameter,
    {}
};
