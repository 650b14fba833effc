#[derive(::raftobj::serde::Serialize, ::raftobj::serde::Deserialize)]
#[serde(crate = "::raftobj::serde")]
#[derive(Default)]
pub struct KvStorage {
    data: BTreeMap<String, String>,
}
#[automatically_derived]
impl ::raftobj::Replicated for KvStorage {}
impl KvStorage {
    /// Sets a key and returns the value it had.
    pub fn set(&mut self, key: String, value: String) -> Option<String> {
        self.data.insert(key, value)
    }
    pub fn cas(
        &mut self,
        key: &str,
        old: Option<&str>,
        new: &[u8],
    ) -> Result<(), CasError> {
        self.only_expanded()
    }
    fn clear(&mut self) {
        self.data.clear()
    }
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<String> {
        self.data.get(key).cloned()
    }
    pub fn first(&self) -> Option<&str> {
        None
    }
    pub fn new() -> Self {
        Self::default()
    }
}
const _: () = {
    ///The methods of `KvStorage` on a `Replica` of it.
    pub struct __KvStorageHandle<T: ::raftobj::Object> {
        core: ::raftobj::__private::Core<T>,
    }
    #[automatically_derived]
    impl ::core::clone::Clone for __KvStorageHandle<KvStorage> {
        fn clone(&self) -> Self {
            Self {
                core: ::core::clone::Clone::clone(&self.core),
            }
        }
    }
    #[automatically_derived]
    impl ::raftobj::__private::Handle for __KvStorageHandle<KvStorage> {
        type Object = KvStorage;
        fn new(core: ::raftobj::__private::Core<KvStorage>) -> Self {
            Self { core }
        }
        fn core(&self) -> &::raftobj::__private::Core<KvStorage> {
            &self.core
        }
    }
    #[automatically_derived]
    impl __KvStorageHandle<KvStorage> {
        /// Sets a key and returns the value it had.
        pub fn set(
            &self,
            key: String,
            value: String,
        ) -> ::raftobj::__private::Call<Option<String>>
        where
            for<'trivial> String: ::raftobj::serde::Serialize,
            for<'trivial> String: ::raftobj::serde::Serialize,
        {
            <Option<
                String,
            > as ::raftobj::__private::ReplicatedReply>::call(
                &self.core,
                ::raftobj::__private::MethodId(3324446467u32),
                &(&key, &value),
            )
        }
        ///Calls `KvStorage::cas` on every replica.
        pub fn cas(
            &self,
            key: &str,
            old: Option<&str>,
            new: &[u8],
        ) -> ::raftobj::__private::Call<Result<(), CasError>> {
            <Result<
                (),
                CasError,
            > as ::raftobj::__private::ReplicatedReply>::call(
                &self.core,
                ::raftobj::__private::MethodId(1246583461u32),
                &(key, old, ::raftobj::__private::ByteSlice(new)),
            )
        }
        ///Calls `KvStorage::clear` on every replica.
        fn clear(&self) -> ::raftobj::__private::Call<()> {
            <() as ::raftobj::__private::ReplicatedReply>::call(
                &self.core,
                ::raftobj::__private::MethodId(1550717474u32),
                &(),
            )
        }
        /// The value of a key.
        pub fn get(&self, key: &str) -> Option<String> {
            let guard = self.core.read();
            <KvStorage>::get(&guard, key)
        }
    }
    #[automatically_derived]
    impl ::raftobj::Object for KvStorage {
        type Handle = __KvStorageHandle<KvStorage>;
        const NAME: &'static ::core::primitive::str = "KvStorage";
        const METHODS: &'static [::raftobj::__private::Method] = {
            const TABLE: &[::raftobj::__private::Method] = &[
                ::raftobj::__private::Method {
                    id: ::raftobj::__private::MethodId(3324446467u32),
                    name: "set",
                    arity: 2u8,
                    types: "String, String",
                },
                ::raftobj::__private::Method {
                    id: ::raftobj::__private::MethodId(1246583461u32),
                    name: "compare_and_set",
                    arity: 3u8,
                    types: "&str, Option<&str>, &[u8]",
                },
                ::raftobj::__private::Method {
                    id: ::raftobj::__private::MethodId(1550717474u32),
                    name: "clear",
                    arity: 0u8,
                    types: "",
                },
            ];
            const _: () = ::raftobj::__private::check_methods(TABLE);
            TABLE
        };
        fn apply(
            &mut self,
            method: ::raftobj::__private::MethodId,
            arguments: &[::core::primitive::u8],
            context: &::raftobj::__private::ApplyContext,
            reply: &mut ::std::vec::Vec<::core::primitive::u8>,
        ) -> ::core::result::Result<(), ::raftobj::__private::MethodError> {
            let _ = (arguments, context, &reply);
            match method {
                ::raftobj::__private::MethodId(3324446467u32) => {
                    let mut arguments = ::raftobj::__private::Arguments::new(
                        "set",
                        arguments,
                    );
                    let argument_0 = <String as ::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    let argument_1 = <String as ::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    arguments.end()?;
                    let value = Self::set(self, argument_0, argument_1);
                    <Option<
                        String,
                    > as ::raftobj::__private::ReplicatedReply>::encode(
                        &value,
                        "set",
                        reply,
                    )
                }
                ::raftobj::__private::MethodId(1246583461u32) => {
                    let mut arguments = ::raftobj::__private::Arguments::new(
                        "compare_and_set",
                        arguments,
                    );
                    let argument_0 = arguments.take::<&::core::primitive::str>()?;
                    let argument_1 = arguments
                        .take::<::core::option::Option<&::core::primitive::str>>()?;
                    let argument_2 = arguments.take::<&[::core::primitive::u8]>()?;
                    arguments.end()?;
                    let value = Self::cas(self, argument_0, argument_1, argument_2);
                    <Result<
                        (),
                        CasError,
                    > as ::raftobj::__private::ReplicatedReply>::encode(
                        &value,
                        "compare_and_set",
                        reply,
                    )
                }
                ::raftobj::__private::MethodId(1550717474u32) => {
                    let arguments = ::raftobj::__private::Arguments::new(
                        "clear",
                        arguments,
                    );
                    arguments.end()?;
                    let value = Self::clear(self);
                    <() as ::raftobj::__private::ReplicatedReply>::encode(
                        &value,
                        "clear",
                        reply,
                    )
                }
                _ => {
                    ::core::result::Result::Err(
                        ::raftobj::__private::MethodError::Unknown(method),
                    )
                }
            }
        }
        fn describe(
            method: ::raftobj::__private::MethodId,
            arguments: &[::core::primitive::u8],
        ) -> ::core::result::Result<
            ::std::string::String,
            ::raftobj::__private::MethodError,
        > {
            use ::raftobj::__private::{ShowAnything as _, ShowDebug as _};
            let _ = arguments;
            match method {
                ::raftobj::__private::MethodId(3324446467u32) => {
                    let mut arguments = ::raftobj::__private::Arguments::new(
                        "set",
                        arguments,
                    );
                    let argument_0 = <String as ::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    let argument_1 = <String as ::raftobj::__private::ReplicatedArgument>::decode(
                        &mut arguments,
                    )?;
                    arguments.end()?;
                    let mut list = ::std::string::String::new();
                    (&::raftobj::__private::Shown(&argument_0)).show(&mut list);
                    (&::raftobj::__private::Shown(&argument_1)).show(&mut list);
                    ::core::result::Result::Ok(list)
                }
                ::raftobj::__private::MethodId(1246583461u32) => {
                    let mut arguments = ::raftobj::__private::Arguments::new(
                        "compare_and_set",
                        arguments,
                    );
                    let argument_0 = arguments.take::<&::core::primitive::str>()?;
                    let argument_1 = arguments
                        .take::<::core::option::Option<&::core::primitive::str>>()?;
                    let argument_2 = arguments.take::<&[::core::primitive::u8]>()?;
                    arguments.end()?;
                    let mut list = ::std::string::String::new();
                    (&::raftobj::__private::Shown(&argument_0)).show(&mut list);
                    (&::raftobj::__private::Shown(&argument_1)).show(&mut list);
                    (&::raftobj::__private::Shown(&argument_2)).show(&mut list);
                    ::core::result::Result::Ok(list)
                }
                ::raftobj::__private::MethodId(1550717474u32) => {
                    let arguments = ::raftobj::__private::Arguments::new(
                        "clear",
                        arguments,
                    );
                    arguments.end()?;
                    let list = ::std::string::String::new();
                    ::core::result::Result::Ok(list)
                }
                _ => {
                    ::core::result::Result::Err(
                        ::raftobj::__private::MethodError::Unknown(method),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl ::raftobj::__private::OnlyOneReplicatedImplBlock for KvStorage {}
};
